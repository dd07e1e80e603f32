/**
 * Owns: the one thing the engine takes from its runtime: a value that follows the code through its awaits.
 * Does not own: what the value is (scope).
 * In JavaScript, with its types beside it, because those of Node are not everywhere where Holdfast is compiled.
 */
export { AsyncLocalStorage as AsyncVariable } from "node:async_hooks";
