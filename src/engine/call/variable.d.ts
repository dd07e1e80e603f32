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
  /** Answers what calls functions with the values, of all variables, that the code that asks has now. */
  static snapshot(): <Result>(act: () => Result) => Result;
}
