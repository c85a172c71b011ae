#!/usr/bin/env node
// The command `fleet`, on the Node of this repository.
process.argv.splice(2, 0, 'fleet');
await import('../run.mjs');
