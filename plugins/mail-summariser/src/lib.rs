//! hearth-plugin-mail-summariser
