;; Answers a call with what `example:geo/places.find` says to its input.
(component
  (import "example:geo/places@1.0.0" (instance $places
    (export "find" (func (param "name" string) (result string)))))
  (core module $memory
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $find (canon lower (func $places "find")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $main
    (import "" "memory" (memory 1))
    (import "" "find" (func $find (param i32 i32 i32)))
    ;; The result lies at 16: 0 for ok, and from 20 on the string that `find` puts there.
    (func (export "call") (param i32 i32) (result i32)
      (call $find (local.get 0) (local.get 1) (i32.const 20))
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.const 16)))
  (core instance $main (instantiate $main (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "find" (func $find))))))
  (type $exception (record (field "name" string) (field "message" string) (field "stack" string)))
  (func $call (param "input" string) (result (result string (error $exception)))
    (canon lift (core func $main "call")
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (component $interface
    (type $record (record (field "name" string) (field "message" string) (field "stack" string)))
    (import "import-exception" (type $imported (eq $record)))
    (import "import-call" (func $call (param "input" string) (result (result string (error $imported)))))
    (export $exception "exception" (type $imported))
    (export "call" (func $call) (func (param "input" string) (result (result string (error $exception))))))
  (instance $interface (instantiate $interface
    (with "import-exception" (type $exception)) (with "import-call" (func $call))))
  (export "elias:component/call@0.1.0" (instance $interface)))
