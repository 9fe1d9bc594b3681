//! hearth-engine-candle
