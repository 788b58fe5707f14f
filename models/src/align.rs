//! The similarity (rotation, one scale, shift; no mirroring) that lays five landmarks on five others.
//!
//! Least squares after Umeyama (1991). In the plane, with both sets centred and read as complex numbers
//! `p` and `q`, his solution is the one complex factor `Σ q·p̄ / Σ |p|²`.

use models_core::{Landmarks, Point};

/// Maps `(x, y)` to `(a·x − b·y + tx, b·x + a·y + ty)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Similarity {
    a: f64,
    b: f64,
    tx: f64,
    ty: f64,
}

impl Similarity {
    /// The best map of `from` onto `to`; none when the points of `from` (nearly) coincide or are not finite.
    pub(crate) fn between(from: &Landmarks, to: &Landmarks) -> Option<Self> {
        let (from_x, from_y) = center(from);
        let (to_x, to_y) = center(to);
        let (mut dot, mut cross, mut spread) = (0.0, 0.0, 0.0);
        for (p, q) in from.0.iter().zip(&to.0) {
            let (px, py) = (f64::from(p.x) - from_x, f64::from(p.y) - from_y);
            let (qx, qy) = (f64::from(q.x) - to_x, f64::from(q.y) - to_y);
            dot += px * qx + py * qy;
            cross += px * qy - py * qx;
            spread += px * px + py * py;
        }
        let (a, b) = (dot / spread, cross / spread);
        let map = Self { a, b, tx: to_x - a * from_x + b * from_y, ty: to_y - b * from_x - a * from_y };
        (spread > 1e-6 && map.scale().is_finite() && map.scale() > 1e-9).then_some(map)
    }

    /// How much longer lines become.
    pub(crate) fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// Where a point goes.
    pub(crate) fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        (self.a * x - self.b * y + self.tx, self.b * x + self.a * y + self.ty)
    }

    /// The map back.
    pub(crate) fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        Self { a, b, tx: b * self.ty - a * self.tx, ty: -b * self.tx - a * self.ty }
    }
}

fn center(points: &Landmarks) -> (f64, f64) {
    let sum = |of: fn(&Point) -> f32| points.0.iter().map(|point| f64::from(of(point))).sum::<f64>() / 5.0;
    (sum(|point| point.x), sum(|point| point.y))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FACE: Landmarks = Landmarks([
        Point { x: 38.0, y: 51.0 },
        Point { x: 73.0, y: 52.0 },
        Point { x: 56.0, y: 71.0 },
        Point { x: 41.0, y: 92.0 },
        Point { x: 70.0, y: 93.0 },
    ]);

    fn moved(by: &Similarity) -> Landmarks {
        Landmarks(FACE.0.map(|point| {
            let (x, y) = by.apply(f64::from(point.x), f64::from(point.y));
            Point { x: x as f32, y: y as f32 }
        }))
    }

    proptest! {
        #[test]
        fn rotation_scale_and_shift_come_back(
            angle in -3.1_f64..3.1, scale in 0.05_f64..20.0, tx in -500.0_f64..500.0, ty in -500.0_f64..500.0,
        ) {
            let truth = Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx, ty };
            let found = Similarity::between(&FACE, &moved(&truth)).unwrap();
            let tolerance = 1e-4 * (1.0 + scale);
            prop_assert!((found.a - truth.a).abs() < tolerance && (found.b - truth.b).abs() < tolerance, "{found:?} {truth:?}");
            prop_assert!((found.tx - tx).abs() < 100.0 * tolerance && (found.ty - ty).abs() < 100.0 * tolerance, "{found:?} {truth:?}");
        }

        #[test]
        fn the_inverse_leads_back(angle in -3.1_f64..3.1, scale in 0.05_f64..20.0, x in -500.0_f64..500.0, y in -500.0_f64..500.0) {
            let map = Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx: 17.0, ty: -4.0 };
            let (there_x, there_y) = map.apply(x, y);
            let (back_x, back_y) = map.inverse().apply(there_x, there_y);
            prop_assert!((back_x - x).abs() < 1e-6 && (back_y - y).abs() < 1e-6);
        }
    }

    #[test]
    fn a_mirrored_face_is_not_mirrored_back() {
        let mirrored = Landmarks(FACE.0.map(|point| Point { x: -point.x, y: point.y }));
        let map = Similarity::between(&mirrored, &FACE).unwrap();
        let (x, _) = map.apply(f64::from(mirrored.0[0].x), f64::from(mirrored.0[0].y));
        assert!((x - f64::from(FACE.0[0].x)).abs() > 1.0);
    }

    #[test]
    fn points_that_coincide_have_no_map() {
        assert_eq!(Similarity::between(&Landmarks([FACE.0[0]; 5]), &FACE), None);
        let not_finite = Landmarks([Point { x: f32::NAN, y: 0.0 }; 5]);
        assert_eq!(Similarity::between(&not_finite, &FACE), None);
    }
}
