//! HTTP and WebSocket: every route on one page.
