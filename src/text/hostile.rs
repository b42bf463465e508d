//! Texts that nobody may see as they are, and the check that nobody does.

/// What a registry, a node or a user could say.
pub const TEXTS: [&str; 16] = [
    "denied\n::error file=a,line=1::owned",
    "\u{1b}[2J\u{1b}[31mdenied\u{1b}[0m",
    "\u{1b}]0;owned\u{7}denied\u{9b}31m\u{7f}",
    "denied\r\n##vso[task.setvariable variable=a]b\u{8}\u{8}",
    "denied\u{2028}::set-env name=PATH::/tmp\u{2029}\u{85}\u{b}\u{c}::add-path::/tmp",
    "\u{202e}deined\u{202c} \u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}",
    "de\u{200b}nied\u{feff}\u{2060}\u{ad} \u{e0041}\u{e007f}",
    "  ::warning::owned ##[error]owned ##teamcity[a] section_start:1700000000:a\r\u{1b}[0K",
    "Get \"https://bucket.s3.test/blob?X-Amz-Algorithm=AWS4&X-Amz-Credential=hunter2%2F&X-Amz-Signature=hunter2\": EOF",
    "https://a.test/b?X-Goog-Signature=hunter2: 403 Forbidden, https://c.test/?sv=1&sig=hunter2%3D&se=2 failed",
    "https://d.cloudfront.test/b?Expires=1&Signature=hunter2&Key-Pair-Id=hunter2 /b?OSSAccessKeyId=hunter2&Signature=hunter2",
    "pull https://jane:hunter2@registry.test/v2/: 401; https://jane:hunter2/x@registry.test",
    "Authorization: Bearer aGVsbG8hunter2 authorization: Basic amFuZTpohunter2==",
    "{\"token\":\"hunter2\",\"access_token\": \"hunter2\",\"expires_in\":300} {\\\"identityToken\\\":\\\"hunter2\\\"}",
    "eyJhbGciOiJub25lIn0.eyJodW50ZXIyIjoiaHVudGVyMiJ9.hunter2",
    "X-Amz-Sec\u{200b}urity-Token=x X-Amz-Security-Token=hunter2\u{1b}[0m&sig=hunter2",
];

/// What none of these texts may leave behind.
///
/// # Panics
/// If it did.
pub fn assert_clean(shown: &str) {
    let is_shown = |c: char| !super::visible::is_hidden(c) || c == '\n';
    assert!(shown.chars().all(is_shown), "hidden characters: {shown:?}");
    assert!(!shown.contains("hunter2"), "a credential: {shown:?}");
    for command in
        ["::error", "::set-env", "::add-path", "::warning", "##vso[", "##[", "##teamcity[", "section_start:1"]
    {
        assert!(!shown.contains(command), "a command: {shown:?}");
    }
}
