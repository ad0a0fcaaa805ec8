//! Some hundred five-field expressions: every form of each field, alone and together.

const CLOCKS: [&str; 24] = [
    "* *",
    "0 *",
    "*/15 *",
    "*/7 *",
    "5,35 *",
    "10-50/20 *",
    "30 */2",
    "0 */3",
    "0 0",
    "30 0",
    "15 1",
    "0 2",
    "30 2",
    "59 2",
    "0,30 2",
    "10-40/10 2",
    "0 3",
    "30 1-3",
    "0 0-5",
    "59 23",
    "45 23,0,1",
    "* 2",
    "20/20 0-3",
    "0 12",
];

const DAYS: [&str; 30] = [
    "* * *",
    "1 * *",
    "15 * *",
    "31 * *",
    "L * *",
    "L-2 * *",
    "LW * *",
    "1W * *",
    "31W * *",
    "28-31 * *",
    "*/2 * *",
    "29 2 *",
    "* 3 *",
    "* MAR,OCT *",
    "* * 0",
    "* * SUN",
    "* * 7",
    "* * MON-FRI",
    "* * 5L",
    "* * SUNL",
    "* * 0#2",
    "* * SUN#1,SUN#L",
    "* * FRI-SUN",
    "? * 6",
    "13 * FRI",
    "1-7 * +SUN",
    "25-31 * +SUN",
    "* 3,9-11 SUN#L",
    "* 4/2 *",
    "30 9,12 *",
];

/// Every clock with some days, every day with some clocks.
pub fn all() -> Vec<String> {
    let mut all = Vec::new();
    for (c, clock) in CLOCKS.iter().enumerate() {
        for (d, day) in DAYS.iter().enumerate() {
            if d == 0 || d == 14 || (c * 7 + d * 5) % 3 == 0 {
                all.push(format!("{clock} {day}"));
            }
        }
    }
    assert!(all.len() >= 200, "{}", all.len());
    all
}
