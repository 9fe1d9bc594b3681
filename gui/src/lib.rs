//! hearth-gui
