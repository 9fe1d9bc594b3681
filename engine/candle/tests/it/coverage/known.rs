//! What is known not to be held to exactly.

/// Properties come in the schema's order alone.
const ORDER: &str = "another order of properties";
/// Numbers are written in one way: whole ones without a point, none with exponents, none that readers round.
const NUMBERS: &str = "another spelling of a number, or one beyond what is exact";
/// Strings are spelled in one way, without `\\u`.
const CONTROLS: &str = "a control character that JSON spells by its number";
/// In 2020-12 a format is a note, unless one asks for more. Here it always holds.
const FORMATS: &str = "a text that is not of the schema's format";
/// When there may be one depends on the offset.
const LEAP_SECONDS: &str = "a leap second";
/// The library's formats leave out what is rare.
const FORMS: &str = "a rare form of the format";
/// Up to draft 7 what stands beside `$ref` is passed over. Here it holds as well.
const SIBLINGS: &str = "held to by a keyword beside $ref";

/// `narrow`: a value the schema accepts that no answer can be. `wide`: one it does not accept that an answer can be.
/// `made`: an answer made up by chance that another library does not accept. `lost`: an answer begun that could not
/// be ended. Each with the reason. Everything here is `narrow`, and has to stay so.
pub(super) const KNOWN: &[(&str, &str, &str)] = &[
    (
        "narrow",
        "JsonSchemaStore | JsonSchemaStore---drupal-libraries.json | llama 70b generated positive",
        SIBLINGS,
    ),
    ("narrow", "MCPspec | MCPspec---CallToolResult.json | llama 70b generated positive", FORMATS),
    ("narrow", "MCPspec | MCPspec---ServerRequest.json | llama 70b generated positive", FORMATS),
    ("narrow", "allOf | allOf with base schema | valid", ORDER),
    ("narrow", "allOf | allOf | allOf", ORDER),
    (
        "narrow",
        "const | const with -2.0 matches integer and float types | float -2.0 is valid",
        NUMBERS,
    ),
    (
        "narrow",
        "const | const with 0 does not match other zero-like types | float zero is valid",
        NUMBERS,
    ),
    ("narrow", "const | const with 1 does not match true | float one is valid", NUMBERS),
    (
        "narrow",
        "const | const with object | same object with different property order is valid",
        ORDER,
    ),
    (
        "narrow",
        "const | float and integers are equal up to 64-bit representation limits | float is valid",
        NUMBERS,
    ),
    ("narrow", "enum | enum with 0 does not match false | float zero is valid", NUMBERS),
    ("narrow", "enum | enum with 1 does not match true | float one is valid", NUMBERS),
    ("narrow", "enum | enum with [0] does not match [false] | [0.0] is valid", NUMBERS),
    ("narrow", "enum | enum with [1] does not match [true] | [1.0] is valid", NUMBERS),
    (
        "narrow",
        "format | date format | invalid date string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | date-time format | invalid date-time string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | duration format | invalid duration string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | email format | invalid email string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | hostname format | invalid hostname string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | ipv4 format | invalid ipv4 string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | ipv6 format | invalid ipv6 string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | time format | invalid time string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | uri format | invalid uri string is only an annotation by default",
        FORMATS,
    ),
    (
        "narrow",
        "format | uuid format | invalid uuid string is only an annotation by default",
        FORMATS,
    ),
    ("narrow", "optional/bignum | integer | a bignum is an integer", NUMBERS),
    ("narrow", "optional/bignum | integer | a negative bignum is an integer", NUMBERS),
    ("narrow", "optional/bignum | number | a bignum is a number", NUMBERS),
    ("narrow", "optional/bignum | number | a negative bignum is a number", NUMBERS),
    (
        "narrow",
        "optional/ecmascript-regex | ECMA 262 \\S matches everything but whitespace | Non-whitespace control matches",
        CONTROLS,
    ),
    (
        "narrow",
        "optional/ecmascript-regex | ECMA 262 \\s matches whitespace | Line tabulation matches",
        CONTROLS,
    ),
    (
        "narrow",
        "optional/float-overflow | all integers are multiples of 0.5, if overflow is handled | valid if optional overflow handling is implemented",
        NUMBERS,
    ),
    (
        "narrow",
        "optional/format/date-time | validation of date-time strings | a second fraction of fifteen nines is valid",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/date-time | validation of date-time strings | a valid date-time with a leap second, UTC",
        LEAP_SECONDS,
    ),
    (
        "narrow",
        "optional/format/date-time | validation of date-time strings | a valid date-time with a leap second, with minus offset",
        LEAP_SECONDS,
    ),
    (
        "narrow",
        "optional/format/email | validation of e-mail addresses | a quoted string with a @ in the local part is valid",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/email | validation of e-mail addresses | a quoted string with a double dot in the local part is valid",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/email | validation of e-mail addresses | a quoted string with a space in the local part is valid",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/email | validation of e-mail addresses | an IPv6-address-literal after the @ is valid",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | Arabic-Indic digits not mixed with Extended Arabic-Indic digits",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | Exceptions that are PVALID, left-to-right chars",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | Exceptions that are PVALID, right-to-left chars",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | Extended Arabic-Indic digits not mixed with Arabic-Indic digits",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | Greek KERAIA followed by Greek",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | Hebrew GERESH preceded by Hebrew",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | Hebrew GERSHAYIM preceded by Hebrew",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | KATAKANA MIDDLE DOT with Han",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | KATAKANA MIDDLE DOT with Hiragana",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | KATAKANA MIDDLE DOT with Katakana",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | MIDDLE DOT with surrounding 'l's",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | ZERO WIDTH JOINER preceded by Virama",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | ZERO WIDTH NON-JOINER not preceded by Virama but matches regexp",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | ZERO WIDTH NON-JOINER preceded by Virama",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of A-label (punycode) host names | a valid host name (example.test in Hangul)",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/hostname | validation of host names | consecutive hyphens inside a label",
        FORMS,
    ),
    ("narrow", "optional/format/ipv6 | validation of IPv6 addresses | a long valid ipv6", FORMS),
    (
        "narrow",
        "optional/format/ipv6 | validation of IPv6 addresses | mixed format with double colons between the sections",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/ipv6 | validation of IPv6 addresses | mixed format with leading double colons (ipv4-mapped ipv6 address)",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/ipv6 | validation of IPv6 addresses | mixed format with the ipv4 section as decimal octets",
        FORMS,
    ),
    (
        "narrow",
        "optional/format/time | validation of time strings | a valid time string with leap second, Zulu",
        LEAP_SECONDS,
    ),
    (
        "narrow",
        "optional/format/time | validation of time strings | valid leap second, large negative time-offset",
        LEAP_SECONDS,
    ),
    (
        "narrow",
        "optional/format/time | validation of time strings | valid leap second, large positive time-offset",
        LEAP_SECONDS,
    ),
    (
        "narrow",
        "optional/format/time | validation of time strings | valid leap second, negative time-offset",
        LEAP_SECONDS,
    ),
    (
        "narrow",
        "optional/format/time | validation of time strings | valid leap second, positive time-offset",
        LEAP_SECONDS,
    ),
    (
        "narrow",
        "optional/format/time | validation of time strings | valid leap second, zero time-offset",
        LEAP_SECONDS,
    ),
    ("narrow", "ref | ref overrides any sibling keywords | ref valid, maxItems ignored", SIBLINGS),
    (
        "narrow",
        "type | integer type matches integers | a float with zero fractional part is an integer",
        NUMBERS,
    ),
];
