//! Why a program did not start, in Docker's words and with its codes.

use monitor::protocol::{Failure, Stage};
use stdx::ErrorKind;

use crate::Error;

const START: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: \
                     runc create failed: unable to start container process: error during container init: ";
const EXEC: &str = "OCI runtime exec failed: exec failed: unable to start container process: ";

/// The failure of a container's start: 127 and 126 are the request's fault, all else is the engine's (Docker's 128).
pub(crate) fn start_failed(failure: &Failure) -> Error {
    let (code, kind) = match failure.stage {
        Stage::NotFound => (127, ErrorKind::Invalid),
        Stage::NotExecutable => (126, ErrorKind::Invalid),
        _ if is_mount_mismatch(failure) => (127, ErrorKind::Invalid),
        _ => (128, ErrorKind::Internal),
    };
    Error::Start {
        code,
        message: format!("{START}{}", failure.message),
        kind,
    }
}

/// The failure of an exec's start.
pub(crate) fn exec_failed(failure: &Failure) -> Error {
    let (code, kind) = match failure.stage {
        Stage::NotFound => (127, ErrorKind::Invalid),
        _ => (126, ErrorKind::Invalid),
    };
    Error::Start {
        code,
        message: format!("{EXEC}{}", failure.message),
        kind,
    }
}

/// A directory mounted on a file, or a file on a directory.
fn is_mount_mismatch(failure: &Failure) -> bool {
    const NOT_A_DIRECTORY: i32 = 20;
    failure.errno == NOT_A_DIRECTORY && failure.message.contains("mount")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_and_has_dockers_code() {
        let message = "exec: \"nope\": executable file not found in $PATH".to_owned();
        let error = start_failed(&Failure {
            stage: Stage::NotFound,
            errno: 2,
            message,
        });
        let Error::Start {
            code,
            message,
            kind,
        } = error
        else {
            panic!("not a start failure")
        };
        assert_eq!((code, kind), (127, ErrorKind::Invalid));
        assert_eq!(
            message,
            "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create \
             failed: unable to start container process: error during container init: exec: \"nope\": executable file \
             not found in $PATH"
        );
    }
}
