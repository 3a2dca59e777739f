//! `version`, and the short form `--version`.

use crate::flags::Given;
use crate::report::{self, Outcome};
use crate::session::Session;

/// `--version`
pub(crate) fn short(session: &Session) -> Outcome {
    let _ = session;
    report::print("Docker version 28.5.0, build corten\n");
    Ok(0)
}

/// `version`
pub(crate) async fn version(session: &Session, _given: &Given) -> Outcome {
    session.client().await?;
    Ok(0)
}
