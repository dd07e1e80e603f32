/**
 * Owns: the one thing the engine takes from its runtime: a value that follows the code through its awaits.
 * Does not own: what is carried (scope).
 * In JavaScript, with its types beside it, because those of Node are not everywhere where Holdfast is compiled.
 */
export { AsyncLocalStorage as Carrier } from "node:async_hooks";
