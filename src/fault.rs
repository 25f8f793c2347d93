//! Deliberate mistakes for the controls of the end-to-end tests: each check must catch the fault that it is there for.
//!
//! Without the feature `fault-injection` nothing of this is in the binary: [`active`] is constantly false.

/// A mistake that a control makes us commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Each leg hears itself.
    LegsSwapped,
    /// The phone rings before the desk has shown the caller.
    PopAfterRing,
    /// The recorder loses a block.
    LostBlock,
    /// The words of one leg are written to the other.
    WrongLegWords,
    /// A call panics when it is answered.
    PanicInCall,
}

/// The faults by the names that `THROUGHLINE_FAULT` takes.
pub const NAMES: [(&str, Fault); 5] = [
    ("legs-swapped", Fault::LegsSwapped),
    ("pop-after-ring", Fault::PopAfterRing),
    ("lost-block", Fault::LostBlock),
    ("wrong-leg-words", Fault::WrongLegWords),
    ("panic-in-call", Fault::PanicInCall),
];

/// Whether the disk of the recordings does not answer at present.
#[cfg(feature = "fault-injection")]
static DISK_STALLED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Lets the disk of the recordings hang, or answer again.
#[cfg(feature = "fault-injection")]
pub fn stall_disk(stalled: bool) {
    DISK_STALLED.store(stalled, std::sync::atomic::Ordering::Relaxed);
}

/// Whether whoever uses the disk of the recordings has to wait.
#[cfg(feature = "fault-injection")]
pub fn disk_is_stalled() -> bool {
    DISK_STALLED.load(std::sync::atomic::Ordering::Relaxed)
}

/// Whether whoever uses the disk of the recordings has to wait.
#[cfg(not(feature = "fault-injection"))]
pub const fn disk_is_stalled() -> bool {
    false
}

/// Whether the database takes nothing at present.
#[cfg(feature = "fault-injection")]
static DATABASE_AWAY: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Takes the database away from whoever writes, or brings it back.
#[cfg(feature = "fault-injection")]
pub fn take_database_away(away: bool) {
    DATABASE_AWAY.store(away, std::sync::atomic::Ordering::Relaxed);
}

/// Whether whoever writes to the database is refused.
#[cfg(feature = "fault-injection")]
pub fn database_is_away() -> bool {
    DATABASE_AWAY.load(std::sync::atomic::Ordering::Relaxed)
}

/// Whether whoever writes to the database is refused.
#[cfg(not(feature = "fault-injection"))]
pub const fn database_is_away() -> bool {
    false
}

#[cfg(feature = "fault-injection")]
static CHOSEN: std::sync::OnceLock<Option<Fault>> = std::sync::OnceLock::new();

/// Chooses the fault of this process, once, at start; false for an unknown name.
#[cfg(feature = "fault-injection")]
pub fn choose(name: &str) -> bool {
    let fault = NAMES.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault);
    CHOSEN.set(fault).is_ok() && fault.is_some()
}

/// Whether this mistake is to be made.
#[cfg(feature = "fault-injection")]
pub fn active(fault: Fault) -> bool {
    CHOSEN.get().copied().flatten() == Some(fault)
}

/// Whether this mistake is to be made.
#[cfg(not(feature = "fault-injection"))]
pub const fn active(_fault: Fault) -> bool {
    false
}
