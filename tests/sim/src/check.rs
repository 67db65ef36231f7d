//! What must hold of every run, whatever went wrong in it.

mod deliveries;
mod down;
mod expected;
mod intake;
mod limits;
mod sessions;

use crate::world::World;

/// Looks at everything; what is wrong is added to the world's list.
pub(crate) fn all(world: &mut World) {
    let mut wrong = Vec::new();
    let envelopes = sessions::check(world, &mut wrong);
    intake::check(world, &mut wrong);
    let expected = expected::of(world, &envelopes);
    expected::tell(world, &expected);
    deliveries::check(world, &expected, &mut wrong);
    limits::check(world, &expected, &mut wrong);
    down::check(world, &expected, &mut wrong);
    world.wrong.append(&mut wrong);
}
