//! The dashboard at `/`: a page and its parts, in the binary. It asks nothing of any other host,
//! and its policy lets the browser do nothing else.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::AdminApi;

/// Nothing inline, nothing from elsewhere, in nobody's frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, media type, content.
const PARTS: [(&str, &str, &str); 9] = [
    ("/", HTML, include_str!("dashboard/index.html")),
    ("/dashboard/style.css", CSS, include_str!("dashboard/style.css")),
    ("/dashboard/icon.svg", SVG, include_str!("dashboard/icon.svg")),
    ("/dashboard/app.js", SCRIPT, include_str!("dashboard/app.js")),
    ("/dashboard/api.js", SCRIPT, include_str!("dashboard/api.js")),
    ("/dashboard/page.js", SCRIPT, include_str!("dashboard/page.js")),
    ("/dashboard/fleet.js", SCRIPT, include_str!("dashboard/fleet.js")),
    ("/dashboard/domains.js", SCRIPT, include_str!("dashboard/domains.js")),
    ("/dashboard/edges.js", SCRIPT, include_str!("dashboard/edges.js")),
];

/// The page and its parts; they hold no data, so that no token is asked for them.
pub(super) fn routes() -> Router<AdminApi> {
    PARTS.into_iter().fold(Router::new(), |routes, (path, kind, content)| {
        routes.route(path, get(async move || part(kind, content)))
    })
}

fn part(kind: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // Another version of the program has other parts.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboard_needs_nobody_else_and_nothing_inline() {
        for (path, kind, content) in PARTS {
            // The one address in them is SVG's name, which nobody asks for.
            let elsewhere = content.replace("http://www.w3.org/2000/svg", "");
            for forbidden in ["http://", "https://", "innerHTML", "eval(", " style=", " onclick="] {
                assert!(!elsewhere.contains(forbidden), "{path}: {forbidden}");
            }
            if kind == HTML {
                assert!(!content.contains("<style") && !content.contains("<script>"), "{path}");
                for (part, _, _) in PARTS.iter().filter(|(part, ..)| part.ends_with(".css")) {
                    assert!(content.contains(part), "{part} is not used");
                }
            }
        }
    }
}
