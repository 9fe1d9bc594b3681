// Gear chart of a bicycle with chainrings and a cassette.

/** Metres a bicycle moves for one turn of the cranks. */
function development(chainring, sprocket, wheelCircumferenceM) {
  if (chainring <= 0 || sprocket <= 0) {
    throw new RangeError("a ring has at least one tooth");
  }
  return (chainring / sprocket) * wheelCircumferenceM;
}

/**
 * All gears from the lowest to the highest, without those that feel the same: a gear is left out if it is within
 * `closeness` (3 per cent, say) of the one before it.
 */
function usefulGears(chainrings, sprockets, wheelCircumferenceM = 2.1, closeness = 0.03) {
  const all = chainrings
    .flatMap((ring) =>
      sprockets.map((sprocket) => ({
        ring,
        sprocket,
        metres: development(ring, sprocket, wheelCircumferenceM),
      })),
    )
    .sort((a, b) => a.metres - b.metres);

  return all.reduce((kept, gear) => {
    const last = kept.at(-1);
    if (!last || gear.metres / last.metres > 1 + closeness) {
      kept.push(gear);
    }
    return kept;
  }, []);
}

/** Speed in km/h at a number of turns a minute. */
const speedAt = (gear, cadence) => (gear.metres * cadence * 60) / 1000;

module.exports = { development, usefulGears, speedAt };
