//! What is measured: one backfill of each kind.

use data_drip::sqlite::prelude::*;

/// Gives every employee without a role the default one.
#[backfill]
pub(crate) struct AddRole;

#[backfill]
impl AddRole {
    fn scope(&self) -> Scope {
        Scope::table("employees").filter(col("role").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("role", "intern").execute().await?;
        Ok(())
    }
}

/// What is read of an employee to make the address.
#[derive(sqlx::FromRow)]
pub(crate) struct Employee {
    pub(crate) id: i64,
    pub(crate) name: String,
}

impl Employee {
    pub(crate) fn address(&self) -> String {
        format!("{}@example.com", self.name)
    }
}

/// Gives every employee an address.
#[backfill]
pub(crate) struct AddEmail;

#[backfill]
impl AddEmail {
    fn scope(&self) -> Scope {
        Scope::table("employees").filter(col("email").is_null()).columns(["id", "name"])
    }

    async fn process_element(&self, employee: Employee, conn: &mut Connection) -> data_drip::Result {
        sqlx::query("UPDATE employees SET email = ? WHERE id = ?")
            .bind(employee.address())
            .bind(employee.id)
            .execute(conn)
            .await?;
        Ok(())
    }
}
