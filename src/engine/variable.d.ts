/**
 * Owns: the types of variable.js.
 * Does not own: anything else.
 */

/** A value that follows the code through its awaits; AsyncContext.Variable, once the language has it. */
export declare class AsyncVariable<Value> {
  /** Calls the function with the value, and whatever it leads to. */
  run<Result>(value: Value, act: () => Result): Result;
  /** The value of the code that asks. */
  getStore(): Value | undefined;
}
