//! The engine's two forms: exact, and an inverted file of 8-bit codes. Everything that comes here was checked.

use faiss::{
    IdMap, Idx, Index, MetricType,
    cluster::{Clustering, ClusteringParameters},
    error::Error,
    index::{
        IndexImpl, TryClone,
        flat::FlatIndexImpl,
        io::{read_index, write_index},
        scalar_quantizer::{IVFScalarQuantizerIndexImpl, QuantizerType},
    },
    selector::IdSelector,
};

/// Rounds of clustering: the lists only have to be of like size.
const ROUNDS: u32 = 6;
/// The same lists from the same templates.
const SEED: u32 = 42;

/// Numbers of records with their approximate scores, the highest first.
pub(crate) type Hits = Vec<(u64, f32)>;

/// All features as they are, compared with every probe.
pub(crate) struct Exact {
    index: IdMap<FlatIndexImpl>,
}

/// Features in lists by the nearest of so many centres, 8 bits a number; a search looks into the nearest lists.
pub(crate) enum Inverted {
    /// Trained by this process.
    Made(IVFScalarQuantizerIndexImpl<FlatIndexImpl>),
    /// Read from a saved index: the engine knows no better type for it.
    Read(IVFScalarQuantizerIndexImpl<IndexImpl>),
}

/// Does the same with either form.
macro_rules! with {
    ($inverted:expr, $index:ident => $do:expr) => {
        match $inverted {
            Inverted::Made($index) => $do,
            Inverted::Read($index) => $do,
        }
    };
}

fn ids(slots: &[u32]) -> Vec<Idx> {
    slots.iter().map(|slot| Idx::new(u64::from(*slot))).collect()
}

/// Asks for no more than there is: what is missing would come as nothing.
fn search(index: &mut impl Index, probes: &[f32], k: usize) -> Result<Vec<Hits>, Error> {
    let found = index.search(probes, k)?;
    let rows = found.labels.chunks(k).zip(found.distances.chunks(k));
    Ok(rows.map(|(labels, scores)| labels.iter().zip(scores).filter_map(|(label, score)| Some((label.get()?, *score))).collect()).collect())
}

fn remove(index: &mut impl Index, slots: &[u32]) -> Result<usize, Error> {
    index.remove_ids(&IdSelector::batch(&ids(slots))?)
}

impl Exact {
    pub(crate) fn new(dimension: usize) -> Result<Self, Error> {
        let flat = FlatIndexImpl::new_ip(u32::try_from(dimension).map_err(|_| Error::BadDimension)?)?;
        Ok(Self { index: IdMap::new(flat)? })
    }

    pub(crate) fn add(&mut self, values: &[f32], slots: &[u32]) -> Result<(), Error> {
        self.index.add_with_ids(values, &ids(slots))
    }

    pub(crate) fn search(&mut self, probes: &[f32], k: usize) -> Result<Vec<Hits>, Error> {
        search(&mut self.index, probes, k)
    }

    pub(crate) fn remove(&mut self, slots: &[u32]) -> Result<usize, Error> {
        remove(&mut self.index, slots)
    }

    /// All features with their numbers.
    pub(crate) fn into_parts(self) -> (Vec<f32>, Vec<u32>) {
        let slots = self.index.id_map().iter().filter_map(|id| u32::try_from(id.get()?).ok()).collect();
        let flat: FlatIndexImpl = self.index.into_inner();
        (flat.xb().to_vec(), slots)
    }

    pub(crate) fn write(&self, name: String) -> Result<(), Error> {
        write_index(&self.index, name)
    }

    pub(crate) fn read(name: String) -> Result<Self, Error> {
        Ok(Self { index: read_index(name)?.into_id_map()?.try_cast_inner_index()? })
    }

    pub(crate) fn shape(&self) -> (u32, u64) {
        (self.index.d(), self.index.ntotal())
    }
}

impl Inverted {
    /// Trains lists and codes on a sample of what is to come.
    pub(crate) fn train(dimension: usize, lists: u32, sample: &[f32]) -> Result<Self, Error> {
        let d = u32::try_from(dimension).map_err(|_| Error::BadDimension)?;
        let mut centres = FlatIndexImpl::new_ip(d)?;
        let mut how = ClusteringParameters::new();
        how.set_niter(ROUNDS);
        how.set_seed(SEED);
        how.set_spherical(true);
        how.set_min_points_per_centroid(1);
        // The trained centres are left in the index that they are assigned by.
        Clustering::new_with_params(d, lists, &how)?.train(sample, &mut centres)?;
        let residual = Some(false);
        let mut index =
            IVFScalarQuantizerIndexImpl::new_with_metric(centres, d, QuantizerType::QT_8bit, lists, MetricType::InnerProduct, residual)?;
        index.train(sample)?;
        Ok(Self::Made(index))
    }

    pub(crate) fn add(&mut self, values: &[f32], slots: &[u32]) -> Result<(), Error> {
        with!(self, index => index.add_with_ids(values, &ids(slots)))
    }

    pub(crate) fn search(&mut self, probes: &[f32], k: usize) -> Result<Vec<Hits>, Error> {
        with!(self, index => search(index, probes, k))
    }

    pub(crate) fn remove(&mut self, slots: &[u32]) -> Result<usize, Error> {
        with!(self, index => remove(index, slots))
    }

    pub(crate) fn lists(&self) -> u32 {
        with!(self, index => index.nlist())
    }

    pub(crate) fn looks_into(&self) -> u32 {
        with!(self, index => index.nprobe())
    }

    pub(crate) fn look_into(&mut self, lists: u32) {
        with!(self, index => index.set_nprobe(lists));
    }

    /// Gives back the room that growing lists leave.
    pub(crate) fn compact(self) -> Result<Self, Error> {
        Ok(match self {
            Self::Made(index) => Self::Made(index.try_clone()?),
            Self::Read(index) => Self::Read(index.try_clone()?),
        })
    }

    pub(crate) fn write(&self, name: String) -> Result<(), Error> {
        with!(self, index => write_index(index, name))
    }

    pub(crate) fn read(name: String) -> Result<Self, Error> {
        Ok(Self::Read(read_index(name)?.into_ivf_scalar_quantizer()?))
    }

    pub(crate) fn shape(&self) -> (u32, u64) {
        with!(self, index => (index.d(), index.ntotal()))
    }
}
