/**
 * Owns: the types of variable.js.
 * Does not own: anything else.
 */

/** A value that follows the code through its awaits; AsyncContext.Variable, once the language has it. */
export declare class AsyncVariable<Value> {
  /** Calls the function with the value, and whatever it leads to. */
  run<Result>(value: Value, act: () => Result): Result;
  /** The value that the caller has. */
  getStore(): Value | undefined;
  /** Returns a function that calls others with the values that all variables have for the caller now. */
  static snapshot(): <Result>(act: () => Result) => Result;
}
