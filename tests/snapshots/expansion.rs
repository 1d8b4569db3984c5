/// Gives employees a role.
#[derive(Debug)]
pub struct AddRole {
    /// Only of this department.
    pub department: String,
    pub age: Option<i64>,
}
#[automatically_derived]
impl ::data_drip::__private::Options for AddRole {
    const NAME: &'static str = "add_role";
    const DESCRIPTION: &'static str = "Gives employees a role.";
    const SETTINGS: ::data_drip::__private::Settings = {
        let mut settings = ::data_drip::__private::Settings::DEFAULT;
        settings.batch_size = ::data_drip::__private::Option::Some(1000u64);
        settings.sleep_ms = ::data_drip::__private::Option::Some(500u64);
        settings.lock = false;
        settings
    };
    fn fields() -> ::data_drip::__private::Vec<::data_drip::__private::Field> {
        ::data_drip::__private::Vec::from([
            <String as ::data_drip::__private::OptionValue>::field("department")
                .help("Only of this department.")
                .with_choices()
                .masked(),
            <Option<i64> as ::data_drip::__private::OptionValue>::field("age")
                .label("Least age")
                .default({
                    let value: i64 = 18;
                    value
                })
                .min({
                    let value: i64 = 0;
                    value
                }),
        ])
    }
    fn parse(
        input: &mut ::data_drip::__private::Input<'_>,
    ) -> ::data_drip::__private::Option<Self> {
        let option_0 = <String as ::data_drip::__private::OptionValue>::take(
            input,
            "department",
        );
        let option_1 = <Option<
            i64,
        > as ::data_drip::__private::OptionValue>::take(input, "age");
        ::data_drip::__private::Option::Some(Self {
            department: option_0?,
            age: option_1?,
        })
    }
    fn values(&self) -> ::data_drip::__private::Values {
        ::data_drip::__private::values([
            (
                "department",
                <String as ::data_drip::__private::OptionValue>::to_json(
                    &self.department,
                ),
            ),
            (
                "age",
                <Option<i64> as ::data_drip::__private::OptionValue>::to_json(&self.age),
            ),
        ])
    }
    fn choices<'c>(
        field: &'c str,
        conn: &'c mut ::data_drip::__private::ConnectionOf<Self>,
    ) -> ::data_drip::__private::BoxFuture<
        'c,
        ::data_drip::__private::Outcome<
            ::data_drip::__private::Option<
                ::data_drip::__private::Vec<::data_drip::__private::Choice>,
            >,
        >,
    > {
        match field {
            "department" => {
                ::data_drip::__private::Box::pin(async move {
                    ::data_drip::__private::IntoChoices::into_choices(
                            departments(conn).await,
                        )
                        .map(::data_drip::__private::Option::Some)
                })
            }
            _ => ::data_drip::__private::no_choices(),
        }
    }
}
const _: () = {
    #[::data_drip::__private::linkme::distributed_slice(
        ::data_drip::__private::BACKFILLS
    )]
    #[linkme(crate = ::data_drip::__private::linkme)]
    static ENTRY: ::data_drip::__private::Entry = ::data_drip::__private::Entry::of::<
        AddRole,
    >();
};
impl AddRole {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::trivially_copy_pass_by_ref,
        clippy::unused_async,
        clippy::unused_self,
    )]
    fn scope(&self) -> Scope {
        Scope::table("employees")
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::trivially_copy_pass_by_ref,
        clippy::unused_async,
        clippy::unused_self,
    )]
    async fn process_element(
        &self,
        row: Row,
        conn: &mut Connection,
        mailer: State<Mailer>,
        run: &Run,
    ) -> data_drip::Result {
        Ok(())
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::trivially_copy_pass_by_ref,
        clippy::unused_async,
        clippy::unused_self,
    )]
    async fn before_run(&self, run: &Run, conn: &mut Connection) {}
    #[allow(
        clippy::needless_pass_by_value,
        clippy::trivially_copy_pass_by_ref,
        clippy::unused_async,
        clippy::unused_self,
    )]
    async fn on_run_failed(&self, run: &Run, mailer: State<Mailer>) {}
    #[allow(
        clippy::needless_pass_by_value,
        clippy::trivially_copy_pass_by_ref,
        clippy::unused_async,
        clippy::unused_self,
    )]
    async fn on_batch_failed(&self, run: &Run, batch: &RunBatch) -> Result<(), Oops> {
        Ok(())
    }
}
#[automatically_derived]
impl ::data_drip::__private::Backfill for AddRole
where
    AddRole: ::data_drip::__private::Options,
{
    type Database = <Scope as ::data_drip::__private::IsScope>::Database;
    const MODE: ::data_drip::__private::Mode = ::data_drip::__private::Mode::Element;
    fn scope(
        &self,
    ) -> ::data_drip::__private::Scope<
        <Scope as ::data_drip::__private::IsScope>::Database,
    > {
        <Scope as ::data_drip::__private::IsScope>::into_scope(Self::scope(self))
    }
    fn states() -> ::data_drip::__private::Vec<::data_drip::__private::StateType> {
        ::data_drip::__private::states([
            <State<Mailer> as ::data_drip::__private::ContextArgument<'_>>::state(),
            <&Run as ::data_drip::__private::ContextArgument<'_>>::state(),
            <State<Mailer> as ::data_drip::__private::ContextArgument<'_>>::state(),
        ])
    }
    fn process(
        &self,
        batch: &mut ::data_drip::__private::Batch<
            '_,
            <Scope as ::data_drip::__private::IsScope>::Database,
        >,
        context: &::data_drip::__private::Context,
    ) -> impl ::data_drip::__private::Future<
        Output = ::data_drip::__private::Outcome,
    > + ::data_drip::__private::Send {
        async move {
            for element in <Row as ::data_drip::__private::RowArgument<
                <Scope as ::data_drip::__private::IsScope>::Database,
            >>::elements(batch)
                .await?
            {
                let outcome = <data_drip::Result as ::data_drip::__private::IntoOutcome>::into_outcome(
                    Self::process_element(
                            self,
                            element.row,
                            <&mut Connection as ::data_drip::__private::ConnectionArgument<
                                '_,
                                <Scope as ::data_drip::__private::IsScope>::Database,
                            >>::from_connection(batch.conn()),
                            <State<
                                Mailer,
                            > as ::data_drip::__private::ContextArgument<
                                '_,
                            >>::from_context(context),
                            <&Run as ::data_drip::__private::ContextArgument<
                                '_,
                            >>::from_context(context),
                        )
                        .await,
                );
                if let ::data_drip::__private::Result::Err(failure) = outcome {
                    return ::data_drip::__private::Result::Err(
                        ::data_drip::__private::row_failed(failure, &element.key),
                    );
                }
            }
            ::data_drip::__private::Result::Ok(())
        }
    }
    fn before_run(
        &self,
        run: &::data_drip::__private::Run,
        conn: &mut ::data_drip::__private::Connection<
            <Scope as ::data_drip::__private::IsScope>::Database,
        >,
        context: &::data_drip::__private::Context,
    ) -> impl ::data_drip::__private::Future<
        Output = ::data_drip::__private::Outcome,
    > + ::data_drip::__private::Send {
        async move {
            let _ = context;
            <() as ::data_drip::__private::IntoOutcome>::into_outcome(
                Self::before_run(
                        self,
                        <&Run as ::data_drip::__private::RunArgument<'_>>::from_run(run),
                        <&mut Connection as ::data_drip::__private::ConnectionArgument<
                            '_,
                            <Scope as ::data_drip::__private::IsScope>::Database,
                        >>::from_connection(conn),
                    )
                    .await,
            )
        }
    }
    const HOOKS: &'static [::data_drip::__private::Hook] = &[
        ::data_drip::__private::Hook::RunFailed,
        ::data_drip::__private::Hook::BatchFailed,
    ];
    fn on_hook(
        &self,
        hook: ::data_drip::__private::Hook,
        run: &::data_drip::__private::Run,
        batch: ::data_drip::__private::Option<&::data_drip::__private::RunBatch>,
        context: &::data_drip::__private::Context,
    ) -> impl ::data_drip::__private::Future<
        Output = ::data_drip::__private::Outcome,
    > + ::data_drip::__private::Send {
        async move {
            let _ = (run, batch, context);
            match (hook, batch) {
                (::data_drip::__private::Hook::RunFailed, _) => {
                    <() as ::data_drip::__private::IntoOutcome>::into_outcome(
                        Self::on_run_failed(
                                self,
                                <&Run as ::data_drip::__private::RunArgument<
                                    '_,
                                >>::from_run(run),
                                <State<
                                    Mailer,
                                > as ::data_drip::__private::ContextArgument<
                                    '_,
                                >>::from_context(context),
                            )
                            .await,
                    )
                }
                (
                    ::data_drip::__private::Hook::BatchFailed,
                    ::data_drip::__private::Option::Some(batch),
                ) => {
                    <Result<
                        (),
                        Oops,
                    > as ::data_drip::__private::IntoOutcome>::into_outcome(
                        Self::on_batch_failed(
                                self,
                                <&Run as ::data_drip::__private::RunArgument<
                                    '_,
                                >>::from_run(run),
                                <&RunBatch as ::data_drip::__private::RunBatchArgument<
                                    '_,
                                >>::from_run_batch(batch),
                            )
                            .await,
                    )
                }
                _ => ::data_drip::__private::Result::Ok(()),
            }
        }
    }
}
impl Touch {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::trivially_copy_pass_by_ref,
        clippy::unused_async,
        clippy::unused_self,
    )]
    fn scope(&self) -> Scope {
        Scope::table("employees")
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::trivially_copy_pass_by_ref,
        clippy::unused_async,
        clippy::unused_self,
    )]
    async fn process_batch(&self, batch: &mut Batch<'_>) {}
}
#[automatically_derived]
impl ::data_drip::__private::Backfill for Touch
where
    Touch: ::data_drip::__private::Options,
{
    type Database = <Scope as ::data_drip::__private::IsScope>::Database;
    const MODE: ::data_drip::__private::Mode = ::data_drip::__private::Mode::Batch;
    fn scope(
        &self,
    ) -> ::data_drip::__private::Scope<
        <Scope as ::data_drip::__private::IsScope>::Database,
    > {
        <Scope as ::data_drip::__private::IsScope>::into_scope(Self::scope(self))
    }
    fn process(
        &self,
        batch: &mut ::data_drip::__private::Batch<
            '_,
            <Scope as ::data_drip::__private::IsScope>::Database,
        >,
        context: &::data_drip::__private::Context,
    ) -> impl ::data_drip::__private::Future<
        Output = ::data_drip::__private::Outcome,
    > + ::data_drip::__private::Send {
        async move {
            let _ = context;
            <() as ::data_drip::__private::IntoOutcome>::into_outcome(
                Self::process_batch(
                        self,
                        <&mut Batch<
                            '_,
                        > as ::data_drip::__private::BatchArgument<
                            '_,
                            '_,
                            <Scope as ::data_drip::__private::IsScope>::Database,
                        >>::from_batch(batch),
                    )
                    .await,
            )
        }
    }
}
#[automatically_derived]
impl ::data_drip::__private::OptionEnum for Hour {
    const CHOICES: &'static [(&'static str, &'static str)] = &[
        ("reject", "Refuse such rows"),
        ("first", "Earlier"),
    ];
    fn value(&self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Earlier => "first",
        }
    }
    fn from_value(value: &str) -> ::data_drip::__private::Option<Self> {
        match value {
            "reject" => ::data_drip::__private::Option::Some(Self::Reject),
            "first" => ::data_drip::__private::Option::Some(Self::Earlier),
            _ => ::data_drip::__private::Option::None,
        }
    }
}
#[automatically_derived]
impl ::data_drip::__private::OptionValue for Hour {
    fn kind() -> ::data_drip::__private::Kind {
        ::data_drip::__private::enum_kind::<Self>()
    }
    fn parse(
        raw: &::data_drip::__private::Raw,
        _: &::data_drip::__private::Field,
    ) -> ::data_drip::__private::Result<Self, ::data_drip::__private::String> {
        ::data_drip::__private::parse_enum(raw)
    }
    fn to_json(&self) -> ::data_drip::__private::Value {
        ::data_drip::__private::Value::from(
            ::data_drip::__private::OptionEnum::value(self),
        )
    }
}
struct Fix {
    age: i64,
}
#[automatically_derived]
impl ::data_drip::__private::Options for Fix
where
    Fix: ::data_drip::__private::Send + ::data_drip::__private::Sync + 'static,
{
    const NAME: &'static str = "";
    fn parse(
        _: &mut ::data_drip::__private::Input<'_>,
    ) -> ::data_drip::__private::Option<Self> {
        ::data_drip::__private::Option::None
    }
}
::core::compile_error! {
    "unknown #[backfill] key `nmae`; did you mean `name`? (known: `name`, `batch_size`, `sleep`, `timeout`, `queue`, `concurrency`, `max_attempts`, `lock`, `crate`)"
}
::core::compile_error! {
    "unknown #[option] key `defualt`; did you mean `default`? (known: `default`, `label`, `min`, `max`, `choices`, `masked`)"
}
