//! Design tokens: colours, spacing, type. No other module names a colour or a font size.

use std::sync::Arc;

use egui::{
    Color32, Context, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, FontTweak,
    Margin, RichText, Stroke, Style, TextStyle, Theme, Ui, Vec2, Visuals, epaint::Shadow,
    epaint::text::VariationCoords, vec2,
};

/// Spacing steps, in points.
pub(crate) mod space {
    /// Between things that belong together.
    pub(crate) const XS: f32 = 4.0;
    /// Between neighbours.
    pub(crate) const S: f32 = 8.0;
    /// Inside cards.
    pub(crate) const M: f32 = 14.0;
    /// Around pages.
    pub(crate) const L: f32 = 24.0;
    /// Between sections.
    pub(crate) const XL: f32 = 36.0;
}

/// Corner of cards and fields.
pub(crate) const RADIUS: u8 = 10;
/// Corner of buttons and chips.
pub(crate) const RADIUS_SMALL: u8 = 8;
/// Height of a control.
pub(crate) const CONTROL_HEIGHT: f32 = 34.0;
/// Text is hard to read in longer lines.
pub(crate) const READING_WIDTH: f32 = 720.0;

/// The colours of one theme.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    /// Behind everything.
    pub(crate) ground: Color32,
    /// Rail and side columns.
    pub(crate) side: Color32,
    /// Cards and fields.
    pub(crate) card: Color32,
    /// Buttons at rest, hovered rows.
    pub(crate) raised: Color32,
    /// A raised thing under the pointer.
    pub(crate) hover: Color32,
    /// Lines and edges.
    pub(crate) line: Color32,
    /// Text.
    pub(crate) text: Color32,
    /// Long text, in which strong words shall stand out.
    pub(crate) prose: Color32,
    /// Strong words in long text.
    pub(crate) prose_strong: Color32,
    /// Text of the second rank.
    pub(crate) muted: Color32,
    /// Text of the third rank; still readable.
    pub(crate) faint: Color32,
    /// Ember: what to do next.
    pub(crate) ember: Color32,
    /// Ember under the pointer.
    pub(crate) ember_hover: Color32,
    /// Text on ember.
    pub(crate) on_ember: Color32,
    /// A breath of ember: selection.
    pub(crate) ember_soft: Color32,
    /// It went well.
    pub(crate) good: Color32,
    /// Behind [`Self::good`].
    pub(crate) good_soft: Color32,
    /// Take care.
    pub(crate) warn: Color32,
    /// Behind [`Self::warn`].
    pub(crate) warn_soft: Color32,
    /// It went wrong.
    pub(crate) bad: Color32,
    /// Behind [`Self::bad`].
    pub(crate) bad_soft: Color32,
}

const DARK: Palette = Palette {
    ground: Color32::from_rgb(0x17, 0x15, 0x13),
    side: Color32::from_rgb(0x1d, 0x1a, 0x18),
    card: Color32::from_rgb(0x22, 0x1f, 0x1c),
    raised: Color32::from_rgb(0x2d, 0x29, 0x25),
    hover: Color32::from_rgb(0x38, 0x33, 0x2e),
    line: Color32::from_rgb(0x38, 0x33, 0x2e),
    text: Color32::from_rgb(0xf1, 0xec, 0xe6),
    prose: Color32::from_rgb(0xdb, 0xd4, 0xcc),
    prose_strong: Color32::from_rgb(0xff, 0xff, 0xff),
    muted: Color32::from_rgb(0xb3, 0xa9, 0x9e),
    faint: Color32::from_rgb(0x8f, 0x85, 0x7b),
    ember: Color32::from_rgb(0xf0, 0x8a, 0x4b),
    ember_hover: Color32::from_rgb(0xf7, 0x9e, 0x66),
    on_ember: Color32::from_rgb(0x24, 0x12, 0x08),
    ember_soft: Color32::from_rgb(0x46, 0x2c, 0x1c),
    good: Color32::from_rgb(0x86, 0xc6, 0x8d),
    good_soft: Color32::from_rgb(0x1f, 0x30, 0x22),
    warn: Color32::from_rgb(0xe8, 0xbc, 0x63),
    warn_soft: Color32::from_rgb(0x38, 0x2d, 0x17),
    bad: Color32::from_rgb(0xf2, 0x8b, 0x7d),
    bad_soft: Color32::from_rgb(0x40, 0x21, 0x1d),
};

const LIGHT: Palette = Palette {
    ground: Color32::from_rgb(0xfb, 0xf8, 0xf4),
    side: Color32::from_rgb(0xf4, 0xef, 0xe8),
    card: Color32::from_rgb(0xff, 0xff, 0xff),
    raised: Color32::from_rgb(0xf1, 0xea, 0xe1),
    hover: Color32::from_rgb(0xe9, 0xdf, 0xd3),
    line: Color32::from_rgb(0xe3, 0xd9, 0xcd),
    text: Color32::from_rgb(0x27, 0x21, 0x1c),
    prose: Color32::from_rgb(0x3d, 0x36, 0x30),
    prose_strong: Color32::from_rgb(0x00, 0x00, 0x00),
    muted: Color32::from_rgb(0x62, 0x58, 0x4e),
    faint: Color32::from_rgb(0x7d, 0x71, 0x65),
    ember: Color32::from_rgb(0xc2, 0x4e, 0x19),
    ember_hover: Color32::from_rgb(0xab, 0x43, 0x13),
    on_ember: Color32::from_rgb(0xff, 0xff, 0xff),
    ember_soft: Color32::from_rgb(0xfb, 0xe3, 0xd4),
    good: Color32::from_rgb(0x27, 0x71, 0x41),
    good_soft: Color32::from_rgb(0xe1, 0xf1, 0xe5),
    warn: Color32::from_rgb(0x8a, 0x5c, 0x00),
    warn_soft: Color32::from_rgb(0xfb, 0xf0, 0xd6),
    bad: Color32::from_rgb(0xb1, 0x34, 0x26),
    bad_soft: Color32::from_rgb(0xfb, 0xe4, 0xe0),
};

impl Palette {
    /// The colours in use.
    pub(crate) fn of(ui: &Ui) -> &'static Self {
        Self::for_theme(ui.visuals().dark_mode)
    }

    /// The colours of the dark or the light theme.
    pub(crate) fn for_theme(dark: bool) -> &'static Self {
        if dark { &DARK } else { &LIGHT }
    }
}

/// The family of icons.
pub(crate) fn icon_family() -> FontFamily {
    FontFamily::Name("icons".into())
}

/// The family of headings and buttons.
pub(crate) fn strong_family() -> FontFamily {
    FontFamily::Name("strong".into())
}

/// Sets up fonts and both themes; the system says which of them is used.
pub fn install(ctx: &Context) {
    ctx.set_fonts(fonts());
    for (theme, palette) in [(Theme::Dark, &DARK), (Theme::Light, &LIGHT)] {
        ctx.style_mut_of(theme, |style| apply(style, palette, theme == Theme::Dark));
    }
    ctx.set_theme(egui::ThemePreference::System);
}

/// A page's title.
pub(crate) fn title(text: impl Into<String>) -> RichText {
    RichText::new(text).size(24.0).family(strong_family())
}

/// A section's title.
pub(crate) fn heading(text: impl Into<String>) -> RichText {
    RichText::new(text).size(17.0).family(strong_family())
}

/// Text with weight.
pub(crate) fn strong(text: impl Into<String>) -> RichText {
    RichText::new(text).family(strong_family())
}

/// Small text of the second rank.
pub(crate) fn small(ui: &Ui, text: impl Into<String>) -> RichText {
    RichText::new(text).small().color(Palette::of(ui).muted)
}

/// Text of the second rank.
pub(crate) fn muted(ui: &Ui, text: impl Into<String>) -> RichText {
    RichText::new(text).color(Palette::of(ui).muted)
}

/// An icon.
pub(crate) fn icon(glyph: &str, size: f32) -> RichText {
    RichText::new(glyph).family(icon_family()).size(size)
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let inter = include_bytes!("../assets/inter.ttf");
    for (name, weight) in [("inter", 410.0), ("inter-strong", 620.0)] {
        let tweak =
            FontTweak { coords: VariationCoords::new([(b"wght", weight)]), ..FontTweak::default() };
        fonts.font_data.insert(name.into(), Arc::new(FontData::from_static(inter).tweak(tweak)));
    }
    let phosphor = FontData::from_static(include_bytes!("../assets/phosphor.ttf"));
    fonts.font_data.insert("phosphor".into(), Arc::new(phosphor));
    let fallback = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    for (family, first) in [
        (FontFamily::Proportional, "inter"),
        (strong_family(), "inter-strong"),
        (icon_family(), "phosphor"),
    ] {
        // The icons stand in for signs that markdown's own buttons use.
        let mut names = vec![first.to_owned(), "phosphor".to_owned()];
        names.extend(fallback.iter().cloned());
        fonts.families.insert(family, names);
    }
    fonts
}

fn apply(style: &mut Style, p: &Palette, dark: bool) {
    style.text_styles = [
        (TextStyle::Small, FontId::proportional(12.5)),
        (TextStyle::Body, FontId::proportional(14.5)),
        (TextStyle::Button, FontId::proportional(14.0)),
        (TextStyle::Heading, FontId::new(17.0, strong_family())),
        (TextStyle::Monospace, FontId::monospace(13.0)),
    ]
    .into();
    let s = &mut style.spacing;
    s.item_spacing = vec2(space::S, space::S);
    s.button_padding = vec2(12.0, 6.0);
    s.interact_size = Vec2::new(CONTROL_HEIGHT, CONTROL_HEIGHT - 4.0);
    s.menu_margin = Margin::same(8);
    s.window_margin = Margin::same(22);
    s.icon_width = 18.0;
    s.icon_width_inner = 10.0;
    s.icon_spacing = 8.0;
    s.tooltip_width = 320.0;
    s.scroll.floating = true;
    s.scroll.bar_width = 8.0;
    s.scroll.floating_width = 5.0;
    s.scroll.floating_allocated_width = 6.0;
    style.visuals = visuals(p, dark);
    style.animation_time = 0.08;
    style.interaction.tooltip_delay = 0.4;
}

fn visuals(p: &Palette, dark: bool) -> Visuals {
    let mut v = if dark { Visuals::dark() } else { Visuals::light() };
    let line = Stroke::new(1.0, p.line);
    let widgets = &mut v.widgets;
    for (state, fill, edge, ink) in [
        (&mut widgets.noninteractive, p.card, line, p.text),
        (&mut widgets.inactive, p.raised, line, p.text),
        (&mut widgets.hovered, p.hover, Stroke::new(1.0, p.faint), p.text),
        (&mut widgets.active, p.hover, Stroke::new(1.5, p.ember), p.text),
        (&mut widgets.open, p.hover, line, p.text),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = edge;
        state.fg_stroke = Stroke::new(1.5, ink);
        state.corner_radius = CornerRadius::same(RADIUS_SMALL);
        state.expansion = 0.0;
    }
    v.selection.bg_fill = p.ember_soft;
    v.selection.stroke = Stroke::new(1.5, p.ember);
    v.weak_text_color = Some(p.muted);
    v.hyperlink_color = p.ember;
    v.faint_bg_color = p.side;
    v.extreme_bg_color = p.card;
    v.text_edit_bg_color = Some(p.card);
    v.code_bg_color = p.raised;
    v.warn_fg_color = p.warn;
    v.error_fg_color = p.bad;
    v.panel_fill = p.ground;
    v.window_fill = p.card;
    v.window_stroke = line;
    v.window_corner_radius = CornerRadius::same(14);
    v.menu_corner_radius = CornerRadius::same(RADIUS);
    let shadow = Shadow {
        offset: [0, 8],
        blur: 28,
        spread: 0,
        color: Color32::from_black_alpha(if dark { 110 } else { 36 }),
    };
    v.window_shadow = shadow;
    v.popup_shadow = shadow;
    // A blinking cursor would wake an idle window twice a second.
    v.text_cursor.blink = false;
    v.text_cursor.stroke = Stroke::new(1.5, p.ember);
    v.interact_cursor = Some(egui::CursorIcon::PointingHand);
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(color: Color32) -> f64 {
        let [r, g, b, _] = color.to_array().map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.039_28 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG AA asks 4.5 of text.
    #[test]
    fn text_stands_out_from_what_is_behind_it() {
        for p in [&DARK, &LIGHT] {
            for (what, ink, behind) in [
                ("text", p.text, p.ground),
                ("text on hover", p.text, p.hover),
                ("text on ember soft", p.text, p.ember_soft),
                ("muted", p.muted, p.card),
                ("muted on side", p.muted, p.side),
                ("muted on raised", p.muted, p.raised),
                ("faint", p.faint, p.card),
                ("ember", p.ember, p.card),
                ("on ember", p.on_ember, p.ember),
                ("on ember, hovered", p.on_ember, p.ember_hover),
                ("good", p.good, p.good_soft),
                ("warn", p.warn, p.warn_soft),
                ("bad", p.bad, p.bad_soft),
                ("bad on card", p.bad, p.card),
            ] {
                let ratio = contrast(ink, behind);
                assert!(ratio >= 4.5, "{what}: {ratio:.2}");
            }
        }
    }
}
