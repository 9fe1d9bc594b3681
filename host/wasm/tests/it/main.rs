//! The host's side of plugins against real and lying programs, and real and hostile guests.
//!
//! What an attack on the plugin processes would try, and the test that tries it:
//!
//! | attack | tests |
//! |---|---|
//! | infinite loop | `hostile::an_endless_loop_runs_out_of_fuel`, `hostile::the_clock_ends_what_fuel_does_not` |
//! | memory bomb | `hostile::a_memory_bomb_hits_the_limit`, `hostile::memories_are_counted_together` |
//! | table bomb, instances, handles | `hostile::a_table_bomb_hits_the_limit`, `hostile::instances_are_limited_wherever_they_come_from`, `hostile::hoarding_handles_ends` |
//! | huge list or string | `hostile::a_log_line_of_8_mib_never_reaches_the_host`, `hostile::a_list_longer_than_memory_never_reaches_the_host` |
//! | deep recursion | `hostile::deep_recursion_traps` |
//! | forged handles | `handles::forged_handles_never_reach_the_host` |
//! | handles of another type, or dropped | `handles::a_text_is_no_collection`, `handles::a_dropped_handle_is_gone` |
//! | handles of another plugin | `handles::the_numbers_of_one_plugin_mean_nothing_in_another` |
//! | malformed component | `inspection`, `inspection::no_mutation_panics`, `mutants` |
//! | compile bomb | `bombs` |
//! | poisoned artefact | `artefacts`, `lying::what_a_lying_compiler_makes_does_not_load` |
//! | escape from the sandbox | `confined`; what a process that is shut in may do, in `host/confine/tests/escape` |
//! | lying runner | `lying`, `killed::calls_that_no_guest_could_make_harm_nobody`; the decoder under any bytes, in `host/wasm/src/pipe/tests.rs` and `host/base/src/frame.rs` |
//! | manifest that lies, hidden sections | `lies`, `inspection::there_is_one_manifest`, `inspection::foreign_imports_are_refused_by_name`, `inspection::declassify_must_be_declared` |
//! | code from elsewhere, a network | `lies::no_import_brings_code_or_a_network`, `lies::a_network_cannot_even_be_asked_for` |
//! | killed runner | `killed`, `calls::a_runner_that_was_killed_is_gone_and_the_next_one_is_well` |
//! | panic while answering | `calls::a_panic_while_answering_ends_the_run_alone` |
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod artefacts;
mod bombs;
mod calls;
mod confined;
mod first_party;
mod guest;
mod handles;
mod hostile;
mod inspection;
mod killed;
mod lies;
mod lying;
mod mutants;
mod programs;
