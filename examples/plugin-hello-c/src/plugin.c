// A whole Hearth plugin in C. The bindings are made by `hearth plugin build`: see target/bindings/plugin.h.
#include <plugin.h>

typedef hearth_plugin_values_own_text_t own_text;
typedef hearth_plugin_model_message_t message;
typedef hearth_plugin_model_part_t part;
typedef exports_hearth_plugin_guest_failure_t failure;

/* The plugin's own words, as the interface passes them. */
static plugin_string_t words(const char *text) {
  plugin_string_t result;
  plugin_string_set(&result, text);
  return result;
}

static bool fail(failure *why, const char *text) {
  why->tag = EXPORTS_HEARTH_PLUGIN_GUEST_FAILURE_BAD_INPUT;
  plugin_string_dup(&why->val.bad_input, text);
  return false;
}

/* What the host refused ends the call, in words for the user. */
static bool refused(failure *why, const hearth_plugin_types_error_t *error) {
  if (error->tag == HEARTH_PLUGIN_TYPES_ERROR_DENIED
      && error->val.denied == HEARTH_PLUGIN_TYPES_CAPABILITY_MODEL) {
    return fail(why, "it is not allowed to use the model");
  }
  return fail(why, "the host refused a request");
}

bool exports_hearth_plugin_guest_run(
    plugin_string_t *command,
    exports_hearth_plugin_guest_own_document_t *maybe_focus,
    exports_hearth_plugin_guest_own_text_t *maybe_input,
    failure *why) {
  (void)command;
  (void)maybe_input;
  if (!maybe_focus) return fail(why, "choose a note first");

  // `body` is a promise. It can go to the model and to a panel; this code never sees what it says.
  own_text body, haiku;
  hearth_plugin_types_error_t error;
  hearth_plugin_documents_borrow_document_t note =
      hearth_plugin_documents_borrow_document(*maybe_focus);
  if (!hearth_plugin_documents_method_document_get(
          note, HEARTH_PLUGIN_DOCUMENTS_FIELD_BODY, &body, &error)) {
    return refused(why, &error);
  }

  part told[] = {{
      .tag = HEARTH_PLUGIN_MODEL_PART_LITERAL,
      .val.literal = words("You write haiku: three lines of five, seven and five syllables."),
  }};
  part asked[] = {
      {.tag = HEARTH_PLUGIN_MODEL_PART_LITERAL,
       .val.literal = words("Write a haiku about this note.\n\n")},
      {.tag = HEARTH_PLUGIN_MODEL_PART_VALUE,
       .val.value = hearth_plugin_values_borrow_text(body)},
  };
  message messages[] = {
      {.role = HEARTH_PLUGIN_MODEL_ROLE_SYSTEM, .parts = {told, 1}},
      {.role = HEARTH_PLUGIN_MODEL_ROLE_USER, .parts = {asked, 2}},
  };
  hearth_plugin_model_list_message_t prompt = {messages, 2};
  hearth_plugin_model_options_t options = {
      .max_tokens = 60,
      .style = HEARTH_PLUGIN_MODEL_STYLE_EXACT,
      .weights = HEARTH_PLUGIN_MODEL_WEIGHTS_BASE,
  };
  if (!hearth_plugin_model_generate(&prompt, &options, &haiku, &error)) {
    return refused(why, &error);
  }

  hearth_plugin_panel_node_t nodes[] = {
      {.tag = HEARTH_PLUGIN_PANEL_NODE_HEADING, .val.heading = words("Your haiku")},
      {.tag = HEARTH_PLUGIN_PANEL_NODE_VALUE,
       .val.value = hearth_plugin_values_borrow_text(haiku)},
  };
  hearth_plugin_panel_list_node_t shown = {nodes, 2};
  plugin_string_t panel = words("haiku");
  if (!hearth_plugin_panel_show(&panel, &shown, &error)) return refused(why, &error);
  return true;
}

bool exports_hearth_plugin_guest_on_event(
    plugin_string_t *panel, exports_hearth_plugin_guest_event_t *event, failure *why) {
  (void)panel;
  (void)event;
  why->tag = EXPORTS_HEARTH_PLUGIN_GUEST_FAILURE_UNSUPPORTED;
  return false;
}

bool exports_hearth_plugin_guest_migrate(plugin_string_t *from_version, failure *why) {
  (void)from_version;
  (void)why;
  return true;
}
