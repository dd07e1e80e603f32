/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the control of a field that holds a single value: its type in the browser, and its limits. */
import type { Blank, Field, Json, TextFormat } from "../../core/form/field.ts";

type ControlProps = {
  readonly id: string;
  readonly field: Field;
  readonly label: string;
  readonly required: boolean;
  readonly blank: Blank;
};

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export function Control({ id, field, label, required, blank }: ControlProps) {
  // A control that has to be chosen is there because there is something to enter.
  const needed = blank === "refused" || blank === "chosen";
  const shared: Attributes = {
    id,
    "aria-describedby": `${id}-hint ${id}-error`,
    // The legend around it names the choice, not the control.
    ...(blank === "chosen" ? { "aria-label": label } : {}),
  };
  switch (field.kind) {
    case "text":
      return <Text field={field} attributes={{ ...shared, required: needed }} />;
    case "number":
      return <input type="number" {...shared} {...bounds(field)} required={needed} {...initialOf(field)} />;
    case "flag":
      return <Flag id={id} field={field} label={label} blank={blank} attributes={shared} />;
    case "choice":
      return <Choice id={id} field={field} blank={blank} attributes={shared} />;
    case "fixed":
      return required ? (
        <output class="form-fixed code" {...shared}>
          {JSON.stringify(field.value)}
        </output>
      ) : (
        <Options
          {...{ field, blank, options: [field.value], attributes: { ...shared, "aria-labelledby": `${id}-label` } }}
        />
      );
    default:
      return (
        <textarea {...shared} class="code" rows={4} spellcheck={false} required={needed} placeholder="JSON"></textarea>
      );
  }
}

const types: Readonly<Record<TextFormat, string>> = {
  plain: "text",
  long: "text",
  email: "email",
  uri: "url",
  date: "date",
  "date-time": "datetime-local",
  time: "time",
};

type TextProps = { readonly field: Extract<Field, { kind: "text" }>; readonly attributes: Attributes };

function Text({ field, attributes }: TextProps) {
  const { format, minLength, maxLength, pattern } = field;
  const length = { minlength: minLength, maxlength: maxLength };
  const plain = { autocomplete: "off", spellcheck: false };
  if (format === "long") {
    return (
      <textarea {...attributes} {...length} rows={4}>
        {typeof field.initial === "string" ? field.initial : ""}
      </textarea>
    );
  }
  if (format === "date-time") {
    return <input type={types[format]} data-zone {...attributes} />;
  }
  // The browser matches the whole text, a schema any part of it.
  const match =
    pattern === undefined ? {} : { pattern: `(?=[\\s\\S]*?(?:${pattern}))[\\s\\S]*`, title: `Matches ${pattern}` };
  const step = format === "time" ? { step: "0.001" } : {};
  return (
    <input type={types[format]} {...attributes} {...length} {...plain} {...match} {...step} {...initialOf(field)} />
  );
}

/** An excluded bound of whole numbers becomes the next number; for others the validator decides. */
function bounds({ whole, min, max, above, below, step }: Extract<Field, { kind: "number" }>): Attributes {
  const least = min ?? (whole && above !== undefined ? Math.floor(above) + 1 : above);
  const most = max ?? (whole && below !== undefined ? Math.ceil(below) - 1 : below);
  // The browser counts steps from the minimum, a schema from 0.
  const fits = step !== undefined && (least === undefined || least % step === 0);
  return {
    step: fits ? step : whole ? 1 : "any",
    inputmode: whole ? "numeric" : "decimal",
    min: least,
    max: most,
  };
}

function initialOf({ initial }: Field): Attributes {
  return typeof initial === "string" || typeof initial === "number" ? { value: initial } : {};
}

export function isRadio(field: Field, required: boolean): boolean {
  return field.kind === "choice" && required && !field.nullable && field.options.length <= 4;
}

type ChoiceProps = {
  readonly id: string;
  readonly field: Field;
  readonly blank: Blank;
  readonly attributes: Attributes;
};

function Flag({ id, field, label, blank, attributes }: ChoiceProps & { readonly label: string }) {
  if (blank === "refused" && !field.nullable) {
    return (
      <label class="form-check" for={id}>
        <input type="checkbox" {...attributes} checked={field.initial === true} />
        <span class="form-name">{field.title ?? label}</span>
      </label>
    );
  }
  return (
    <>
      <label for={id}>
        <span class="form-name">{field.title ?? label}</span>
        {blank === "absent" ? <span class="form-tag">optional</span> : null}
      </label>
      <Options {...{ field, blank, options: [true, false], attributes }} />
    </>
  );
}

function Choice({ id, field, blank, attributes }: ChoiceProps) {
  if (field.kind !== "choice") return null;
  const { options, initial } = field;
  if (!isRadio(field, blank === "refused")) return <Options {...{ field, blank, options, attributes }} />;
  return (
    <div
      class="form-radios"
      role="radiogroup"
      aria-labelledby={`${id}-label`}
      aria-describedby={`${id}-hint ${id}-error`}
    >
      {options.map((option) => (
        <label>
          <input type="radio" name={id} value={JSON.stringify(option)} required checked={isSame(option, initial)} />
          <span>{wordOf(option)}</span>
        </label>
      ))}
    </div>
  );
}

type OptionsProps = {
  readonly field: Field;
  readonly blank: Blank;
  readonly options: readonly Json[];
  readonly attributes: Attributes;
};

/** The value of each option is JSON; an empty one stands for no value. */
function Options({ field, blank, options, attributes }: OptionsProps) {
  const { initial, nullable } = field;
  return (
    <select {...attributes} required={blank === "refused"}>
      <option value="">{blank === "absent" ? "left out" : "choose…"}</option>
      {options.map((option) => (
        <option value={JSON.stringify(option)} selected={isSame(option, initial)}>
          {wordOf(option)}
        </option>
      ))}
      {nullable ? (
        <option value="null" selected={initial === null}>
          null
        </option>
      ) : null}
    </select>
  );
}

function wordOf(option: Json): string {
  return typeof option === "string" ? option : JSON.stringify(option);
}

function isSame(option: Json, initial: Json | undefined): boolean {
  return initial !== undefined && JSON.stringify(option) === JSON.stringify(initial);
}
