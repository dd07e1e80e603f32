/**
 * Validators, as the Standard Schema interface describes them (https://standardschema.dev):
 * zod, valibot, arktype and others implement it, so Holdfast depends on none of them here.
 */
import { HoldfastError, storeError } from "../error.ts";
import type { ErrorCode } from "../code.ts";
import type { Issue } from "../error.ts";
import { isThenable } from "../thenable.ts";
import { pointerTo } from "../value/pointer.ts";

export interface Schema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    readonly jsonSchema?: {
      readonly input: (options: {
        readonly target: string;
        readonly libraryOptions?: Record<string, unknown>;
      }) => Record<string, unknown>;
    };
  };
}

export function isSchema(value: unknown): value is Schema {
  const standard = (value as Partial<Schema> | null | undefined)?.["~standard"];
  return typeof standard?.validate === "function";
}

type Validated<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

type SchemaIssue = {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
};

/**
 * The schema's output for the value; the value itself where there is no schema.
 * @throws HoldfastError with `code`, every problem in `issues`.
 */
export function validate<Output>(
  schema: Schema<unknown, Output> | undefined,
  value: unknown,
  code: ErrorCode,
  what: string,
): Output | Promise<Output> {
  if (schema === undefined) return value as Output;
  const verdict = ask(schema, value);
  // Also a promise of another realm, or of a library's own.
  return isThenable(verdict)
    ? Promise.resolve(verdict)
        .catch(refusal)
        .then((done) => accept(done, code, what))
    : accept(verdict, code, what);
}

function ask<Output>(
  schema: Schema<unknown, Output>,
  value: unknown,
): Validated<Output> | PromiseLike<Validated<Output>> {
  try {
    return schema["~standard"].validate(value);
  } catch (error) {
    return refusal(error);
  }
}

/** A validator that throws, as its transforms may, has refused the value. */
function refusal(error: unknown): { readonly issues: readonly SchemaIssue[] } {
  return refused(`the schema threw: ${storeError(error).message}`);
}

function refused(message: string): { readonly issues: readonly SchemaIssue[] } {
  return { issues: [{ message }] };
}

function accept<Output>(verdict: Validated<Output>, code: ErrorCode, what: string): Output {
  if (!isVerdict(verdict)) return accept(refused(`the schema answered ${String(verdict)}`), code, what);
  if (verdict.issues === undefined) return verdict.value;
  const issues = Array.from(verdict.issues, toIssue);
  const list = issues.map((issue) => (issue.path === "" ? issue.message : `${issue.path}: ${issue.message}`));
  throw new HoldfastError(code, `${what} is not valid: ${list.join("; ")}`, { issues });
}

/** A validator of plain JavaScript may answer anything. */
function isVerdict(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null;
}

function toIssue(issue: SchemaIssue): Issue {
  // Not by their own `map`: lists of arktype are of classes whose constructors take another thing than a length.
  const keys = Array.from(issue.path ?? [], (part) => (typeof part === "object" ? part.key : part));
  return { path: pointerTo(keys), message: issue.message };
}

/** As zod has it; libraries that know of no such option pass it over. */
const libraryOptions = { unrepresentable: "any" };

/**
 * The JSON Schema (draft 2020-12) of what the validator takes, and of a part that JSON Schema has no words for, a date or
 * a map, that it may be anything; null where the validator cannot say.
 */
export function toJsonSchema(schema: Schema | undefined): object | null {
  try {
    return schema?.["~standard"].jsonSchema?.input({ target: "draft-2020-12", libraryOptions }) ?? null;
  } catch {
    // Workflows whose validator has no JSON Schema are listed without one.
    return null;
  }
}
