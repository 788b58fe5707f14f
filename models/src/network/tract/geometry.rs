//! Sizes of a 3 × 3 convolution, and channels laid into frames of zeros.
//!
//! Every row of a frame leaves room for whole blocks of numbers, so that no block needs a case of its own. With
//! a stride of 2, even and odd columns are parted, so that a block reads neighbours.

use super::activation::LANES;

/// Rows and columns of the kernel.
pub(super) const KERNEL: usize = 3;

/// Sizes in numbers. `stride` is 1 or 2, `top` and `left` are rows and columns of padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Geometry {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
    pub(super) stride: usize,
    pub(super) top: usize,
    pub(super) left: usize,
}

impl Geometry {
    /// Results of a row, rounded up to whole blocks.
    pub(super) fn blocks(&self) -> usize {
        self.out_width.next_multiple_of(LANES)
    }

    /// Length of a padded row, or of the half of one that holds even or odd columns: room for the last
    /// block's window, and for the columns of the input that no result needs.
    pub(super) fn pitch(&self) -> usize {
        (self.blocks() + LANES).max((self.width + self.left).div_ceil(self.stride) + 1)
    }

    /// Length of a padded row: its halves, where it has halves.
    pub(super) fn row(&self) -> usize {
        self.pitch() * self.stride
    }

    pub(super) fn padded_rows(&self) -> usize {
        ((self.out_height - 1) * self.stride + KERNEL).max(self.top + self.height)
    }
}

/// Copies a row behind `left` zeros; with a stride of 2, even columns to the first half and odd ones to the
/// second.
#[inline(always)]
pub(super) fn lay_row(geometry: &Geometry, padded: &mut [f32], row: &[f32]) {
    if geometry.stride == 1 { lay(padded, row, geometry.left) } else { part(padded, row, geometry.left) }
}

/// Copies a row behind `left` zeros.
fn lay(padded: &mut [f32], row: &[f32], left: usize) {
    if let Some(padded) = padded.get_mut(left..left + row.len()) {
        padded.copy_from_slice(row);
    }
}

/// Copies a row behind `left` zeros (0 or 1), even columns to the first half and odd ones to the second.
#[inline(always)]
fn part(padded: &mut [f32], row: &[f32], left: usize) {
    let (even, odd) = padded.split_at_mut(padded.len() / 2);
    let (first, second) = if left == 0 { (even, odd) } else { (odd, even.get_mut(1..).unwrap_or_default()) };
    let (pairs, rest) = row.as_chunks::<2>();
    for ((first, second), [a, b]) in first.iter_mut().zip(&mut *second).zip(pairs) {
        (*first, *second) = (*a, *b);
    }
    if let ([last], Some(first)) = (rest, first.get_mut(pairs.len())) {
        *first = *last;
    }
}
