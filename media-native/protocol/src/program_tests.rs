//! What becomes of programs that misbehave.

use super::*;
use std::time::Duration;

fn shell(script: &str) -> Program {
    Program::new("sh").args(["-c", script])
}

async fn run(program: &Program) -> Result<Ended, ProgramError> {
    let folder = tempfile::tempdir().unwrap();
    let (_stop, stopped) = watch::channel(None);
    program.run(folder.path(), stopped, None).await
}

#[tokio::test]
async fn a_program_sees_nothing_of_our_environment() {
    let ended = run(&shell("echo ${CARGO_PKG_NAME:-clean}; echo no >&2; exit 3")).await.unwrap();
    assert_eq!(ended.stdout, b"clean\n");
    assert_eq!((ended.stderr.as_str(), ended.status.code()), ("no", Some(3)));
}

#[tokio::test]
async fn a_program_reaches_nobody_by_the_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    let ended = run(&Program::new("bash").args(["-c", &script])).await.unwrap();
    assert!(!ended.status.success(), "it has called us");
    assert!(ended.stderr.contains("Permission denied"), "{}", ended.stderr);
}

#[tokio::test]
async fn what_a_program_costs_is_known_at_its_end() {
    let ended = run(&shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")).await.unwrap();
    assert!((20..30_000).contains(&ended.cpu.as_millis()), "{:?}", ended.cpu);
    let ended = run(&shell("sleep 0.3")).await.unwrap();
    assert!(ended.cpu.as_millis() < 200, "{:?}", ended.cpu);
}

#[tokio::test]
async fn one_that_spins_is_ended_by_its_cpu_time() {
    let mut program = shell("while :; do :; done");
    program.cpu_max = Duration::from_secs(1);
    let error = run(&program).await.unwrap_err();
    assert!(matches!(error, ProgramError::TooMuchCpu(_)), "{error}");
    assert!(error.is_the_inputs_fault());
}

#[tokio::test]
async fn one_that_says_nothing_is_stalled_and_one_that_goes_on_is_late() {
    let mut program = shell("sleep 60");
    program.stall_max = Duration::from_millis(600);
    let error = run(&program).await.unwrap_err();
    assert!(matches!(error, ProgramError::Stalled(_)), "{error}");
    let mut program = shell("while sleep 0.1; do echo x; done");
    program.stall_max = Duration::from_millis(600);
    program.wall_max = Duration::from_millis(1500);
    let error = run(&program).await.unwrap_err();
    assert!(matches!(error, ProgramError::TooLong(_)), "{error}");
    assert!(!error.is_the_inputs_fault());
}

#[tokio::test]
async fn one_that_prints_or_writes_too_much_is_ended() {
    let error = run(&shell("yes")).await.unwrap_err();
    assert!(matches!(error, ProgramError::TooMuchOutput(_)), "{error}");
    let error = run(&shell("echo x > here")).await;
    assert!(!matches!(&error, Ok(ended) if ended.status.success()), "{error:?}");
}

#[tokio::test]
async fn what_a_program_has_started_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let mut program = shell("sleep 300 & echo $! > pid; wait");
    program.file_bytes_max = 100;
    let (stop, stopped) = watch::channel(None);
    let running = program.run(folder.path(), stopped, None);
    let told = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let written = std::fs::read_to_string(&pid_file).unwrap_or_default();
            if let Ok(pid) = written.trim().parse::<i32>() {
                stop.send_replace(Some(Why::Cancelled));
                return Pid::from_raw(pid).unwrap();
            }
            assert!(Instant::now() < deadline, "the program never began");
            sleep(Duration::from_millis(10)).await;
        }
    };
    let (ended, grandchild) = tokio::join!(running, told);
    assert!(matches!(ended, Err(ProgramError::Stopped)));
    let deadline = Instant::now() + Duration::from_secs(20);
    // It belongs to init now, which may take a moment to reap it.
    while lives(grandchild) {
        assert!(Instant::now() < deadline, "it still runs");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A process that has ended and was not waited for is dead.
fn lives(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn lines_arrive_whole_and_only_telling_ones_hold_the_watchdog() {
    let folder = tempfile::tempdir().unwrap();
    let (_stop, stopped) = watch::channel(None);
    let mut lines = Vec::new();
    let mut on_line = |line: &str| {
        lines.push(line.to_owned());
        line.starts_with("out_time")
    };
    let script =
        "printf 'out_time=1\\nsp'; printf 'eed=2\\n'; while sleep 0.1; do echo speed; done";
    let mut program = shell(script);
    program.stall_max = Duration::from_millis(700);
    let error = program.run(folder.path(), stopped, Some(&mut on_line)).await.unwrap_err();
    assert!(matches!(error, ProgramError::Stalled(_)), "{error}");
    assert_eq!(lines[..2], ["out_time=1", "speed=2"]);
}
