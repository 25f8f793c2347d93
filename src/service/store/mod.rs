//! The record in SQL.
