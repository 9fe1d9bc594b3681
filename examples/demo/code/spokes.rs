//! Length of the spokes of a wheel.

/// A hub and a rim that shall become a wheel. All lengths in millimetres.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    /// Effective rim diameter: where the ends of the spokes lie.
    pub rim_diameter_mm: f64,
    /// Diameter of the circle of spoke holes in the hub's flange.
    pub flange_diameter_mm: f64,
    /// From the middle of the hub to the flange.
    pub flange_offset_mm: f64,
    /// Diameter of a spoke hole.
    pub hole_diameter_mm: f64,
    /// Spokes of the whole wheel.
    pub spokes: u32,
    /// How many other spokes each one crosses; 0 is radial.
    pub crossings: u32,
}

impl Wheel {
    /// The length of a spoke, by the law of cosines in the plane of the flange and Pythagoras across it.
    ///
    /// Returns `None` if the spokes cannot be laced this way: an odd number of them, or so many crossings that a spoke
    /// would run around the back of the hub.
    pub fn spoke_length_mm(&self) -> Option<f64> {
        if self.spokes == 0 || self.spokes % 2 != 0 || 4 * self.crossings > self.spokes {
            return None;
        }
        let holes_a_flange = f64::from(self.spokes) / 2.0;
        let angle = std::f64::consts::TAU * f64::from(self.crossings) / holes_a_flange;
        let rim = self.rim_diameter_mm / 2.0;
        let flange = self.flange_diameter_mm / 2.0;
        let in_plane = rim * rim + flange * flange - 2.0 * rim * flange * angle.cos();
        let across = self.flange_offset_mm * self.flange_offset_mm;
        // The head sits in the hole, so half of the hole's width is not needed.
        Some((in_plane + across).sqrt() - self.hole_diameter_mm / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loan_bikes_need_292() {
        let wheel = Wheel {
            rim_diameter_mm: 610.0,
            flange_diameter_mm: 58.0,
            flange_offset_mm: 34.0,
            hole_diameter_mm: 2.6,
            spokes: 36,
            crossings: 3,
        };
        assert_eq!(wheel.spoke_length_mm().map(f64::round), Some(292.0));
        assert_eq!(Wheel { spokes: 35, ..wheel }.spoke_length_mm(), None);
        assert_eq!(Wheel { crossings: 10, ..wheel }.spoke_length_mm(), None);
    }
}
