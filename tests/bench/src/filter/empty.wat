;; The callbacks and the two reads of a request that the Sealwax filter has, and nothing in them: what the sandbox costs, whatever a filter does in it.
(module
  (import "env" "proxy_get_header_map_value"
    (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) ":path")
  (data (i32.const 80) ":authority")
  (func (export "_initialize"))
  (func (export "proxy_abi_version_0_2_1"))
  ;; Every buffer is this one: nobody looks into it.
  (func (export "malloc") (param $bytes i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_context_create") (param $context i32) (param $parent i32))
  (func (export "proxy_on_configure") (param $root i32) (param $bytes i32) (result i32)
    (i32.const 1))
  (func (export "proxy_on_request_headers")
    (param $stream i32) (param $headers i32) (param $end i32) (result i32)
    (drop (call $header (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 16) (i32.const 20)))
    (drop (call $header (i32.const 0) (i32.const 80) (i32.const 10) (i32.const 16) (i32.const 20)))
    (i32.const 0))
  (func (export "proxy_on_response_headers")
    (param $stream i32) (param $headers i32) (param $end i32) (result i32)
    (i32.const 0))
  (func (export "proxy_on_delete") (param $context i32)))
