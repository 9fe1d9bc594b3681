//! How the machine fares, by the system's word (Linux's `/sys/class`; elsewhere nothing is known).

use std::{fs, path::Path};

use hearth_session::Power;

const SUPPLIES: &str = "/sys/class/power_supply";
const ZONES: &str = "/sys/class/thermal";

/// How the machine is powered, and how hot it is.
pub(crate) fn feel() -> Power {
    Power { on_battery: on_battery(Path::new(SUPPLIES)), celsius: hottest(Path::new(ZONES)) }
}

/// Whether a battery is being emptied and no mains adapter is online.
fn on_battery(supplies: &Path) -> bool {
    let (mut discharging, mut mains) = (false, false);
    for supply in entries(supplies) {
        let read = |name: &str| fs::read_to_string(supply.join(name)).unwrap_or_default();
        match read("type").trim() {
            // That of a mouse or a headset has the scope `Device`.
            "Battery" if read("scope").trim() != "Device" => {
                discharging |= read("status").trim() == "Discharging";
            }
            "Mains" | "USB" => mains |= read("online").trim() == "1",
            _ => {}
        }
    }
    discharging && !mains
}

/// The hottest zone, in degrees Celsius.
fn hottest(zones: &Path) -> Option<f32> {
    let millidegrees = entries(zones)
        .filter_map(|zone| fs::read_to_string(zone.join("temp")).ok()?.trim().parse::<f32>().ok());
    millidegrees.map(|temp| temp / 1000.0).filter(|celsius| *celsius > 0.0).reduce(f32::max)
}

fn entries(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn a_battery_counts_while_nothing_charges_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!on_battery(&dir.path().join("absent")));
        write(dir.path(), &[("BAT0/type", "Battery\n"), ("BAT0/status", "Discharging\n")]);
        assert!(on_battery(dir.path()));
        write(dir.path(), &[("AC/type", "Mains\n"), ("AC/online", "1\n")]);
        assert!(!on_battery(dir.path()));
    }

    #[test]
    fn a_mouse_is_no_machine() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[("m/type", "Battery\n"), ("m/scope", "Device\n"), ("m/status", "Discharging\n")],
        );
        assert!(!on_battery(dir.path()));
    }

    #[test]
    fn the_hottest_zone_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(hottest(dir.path()), None);
        write(dir.path(), &[("a/temp", "41000\n"), ("b/temp", "63500\n"), ("c/temp", "-1\n")]);
        assert_eq!(hottest(dir.path()), Some(63.5));
    }
}
