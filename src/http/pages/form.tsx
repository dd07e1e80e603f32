/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: a form for a JSON value, drawn from its fields, and the switch between it and the JSON itself.
 * client/form.ts reads it into the value and shows at its place what the server says of it.
 * Does not own: what is done with the value; that is the action whose dialog the form stands in.
 *
 * What may be there several times, or not at all, stands in a `template`: the script copies it.
 */
import { blankOf, isComposite } from "../../core/form/field.ts";
import type { Field, Member } from "../../core/form/field.ts";
import { Description, Label, Words } from "./caption.tsx";
import type { Caption } from "./caption.tsx";
import { Control } from "./control.tsx";
import { Icon } from "./icon.tsx";

type ValueFormProps = {
  readonly id: string;
  /** What the value is: "Input". */
  readonly label: string;
  readonly field: Field;
  /** The member of the body that the value becomes; "" where it is the body, null where its members are among the body's. */
  readonly name: string | null;
  /** Without the switch to JSON: for what has no more fields than are drawn. */
  readonly plain?: boolean;
};

export function ValueForm({ id, label, field, name, plain = false }: ValueFormProps) {
  const isDrawn = field.kind !== "json";
  // client/action.ts collects it by its name, as it does any control.
  const place = name === null ? { "data-spread": "" } : name === "" ? { "data-body": "" } : { name };
  return (
    <div id={id} class="value-form" data-keep data-value-form {...place}>
      <div class="value-head">
        <h3 id={`${id}-label`}>{label}</h3>
        {isDrawn && !plain ? <Switch id={id} label={label} /> : null}
      </div>
      {isDrawn ? (
        <fieldset class="pane" data-pane="fields" aria-labelledby={`${id}-label`}>
          <FieldView id={`${id}-0`} field={field} caption={isComposite(field) ? null : { text: "Value" }} required />
        </fieldset>
      ) : null}
      {plain ? null : <JsonPane id={id} label={label} field={field} isHidden={isDrawn} />}
      <p class="form-error" id={`${id}-error`} data-error role="alert" hidden></p>
    </div>
  );
}

function Switch({ id, label }: { readonly id: string; readonly label: string }) {
  return (
    <div class="segments" role="group" aria-label={`${label}: how to enter it`}>
      <button type="button" aria-pressed="true" aria-controls={id} data-form-mode="fields">
        Form
      </button>
      <button type="button" aria-pressed="false" aria-controls={id} data-form-mode="json">
        JSON
      </button>
    </div>
  );
}

type JsonPaneProps = { readonly id: string; readonly label: string; readonly field: Field; readonly isHidden: boolean };

function JsonPane({ id, label, field, isHidden }: JsonPaneProps) {
  const { initial } = field;
  return (
    <fieldset class="pane" data-pane="json" hidden={isHidden} disabled={isHidden} aria-label={`${label} as JSON`}>
      <label class="sr" for={`${id}-raw`}>
        {label} as JSON
      </label>
      <textarea id={`${id}-raw`} class="code" data-raw rows={8} spellcheck={false} aria-describedby={`${id}-help`}>
        {initial === undefined ? "" : JSON.stringify(initial, null, 2)}
      </textarea>
      <p class="form-hint" id={`${id}-help`}>
        JSON. A date is <code>{`{ "$type": "Date", "value": "2026-03-01T09:00:00.000Z" }`}</code>.
      </p>
    </fieldset>
  );
}

type FieldProps = {
  readonly id: string;
  readonly field: Field;
  /** What it is called; null where what is around it says so. */
  readonly caption: Caption | null;
  readonly required: boolean;
};

function FieldView(props: FieldProps) {
  const { id, field, caption, required } = props;
  const blank = blankOf(field, required);
  const isGroup = blank === "chosen" || isComposite(field);
  const attributes = {
    class: `form-field is-${field.kind}`,
    "data-kind": field.kind,
    "data-blank": blank,
    "data-name": caption?.code,
    "data-initial": needsScript(field) ? JSON.stringify(field.initial) : undefined,
    "data-value": field.kind === "fixed" ? JSON.stringify(field.value) : undefined,
  };
  const inner = (
    <>
      {isGroup ? <Description id={id} field={field} /> : null}
      {blank === "chosen" ? <Given {...props} /> : <Body {...props} />}
      {isGroup ? null : <Description id={id} field={field} />}
      <p class="form-error" id={`${id}-error`} data-error hidden></p>
    </>
  );
  if (!isGroup) {
    return (
      <div {...attributes}>
        {caption === null || field.kind === "flag" ? null : (
          <Label id={id} field={field} caption={caption} required={required} />
        )}
        {inner}
      </div>
    );
  }
  return (
    <fieldset {...attributes} aria-describedby={`${id}-hint ${id}-error`}>
      {caption === null ? null : (
        <legend>
          <Words field={field} caption={caption} required={required} />
        </legend>
      )}
      {inner}
    </fieldset>
  );
}

/** Of what it says at first, the script writes what attributes cannot: lists and objects, and instants in the reader's zone. */
function needsScript(field: Field): boolean {
  if (field.initial === undefined) return false;
  return isComposite(field) || field.kind === "json" || (field.kind === "text" && field.format === "date-time");
}

/** A choice beside what may be left out, or be null. */
function Given(props: FieldProps) {
  const { field, required, caption } = props;
  return (
    <>
      <select class="form-given" data-given aria-label={`${caption?.text ?? "This"}: whether it is given`}>
        {required ? null : <option value="absent">left out</option>}
        {field.nullable ? <option value="null">null</option> : null}
        <option value="given">given</option>
      </select>
      <template data-given>
        <Body {...props} />
      </template>
    </>
  );
}

function Body(props: FieldProps) {
  const { id, field, caption, required } = props;
  switch (field.kind) {
    case "object":
      return <ObjectBody id={id} members={field.members} others={field.others} />;
    case "list":
      return <ListBody id={id} item={field.item} min={field.min} max={field.max} caption={caption} />;
    case "tuple":
      return (
        <div class="form-body" data-body>
          {field.items.map((item, index) => (
            <FieldView id={`${id}-${index}`} field={item} caption={{ text: `Item ${index + 1}` }} required />
          ))}
        </div>
      );
    case "variants":
      return (
        <div class="form-body" data-body>
          <select class="form-variant" data-variant aria-label={`${caption?.text ?? "This"}: which kind`}>
            {field.variants.map(({ label }, index) => (
              <option value={String(index)}>{label}</option>
            ))}
          </select>
          {field.variants.map((variant, index) => (
            <template data-variant={String(index)}>
              <FieldView id={`${id}-${index}`} field={variant.field} caption={null} required />
            </template>
          ))}
        </div>
      );
    default:
      return (
        <div class="form-body" data-body>
          <Control
            id={id}
            field={field}
            label={caption?.text ?? "Value"}
            required={required}
            blank={blankOf(field, required)}
          />
        </div>
      );
  }
}

type ObjectProps = { readonly id: string; readonly members: readonly Member[]; readonly others: Field | null };

function ObjectBody({ id, members, others }: ObjectProps) {
  return (
    <div class="form-body" data-body>
      {members.map(({ name, field, required }, index) => (
        <FieldView id={`${id}-${index}`} field={field} caption={{ text: name, code: name }} required={required} />
      ))}
      {others === null ? null : <Others id={`${id}-x`} field={others} />}
    </div>
  );
}

/** Members under names of the user's choice. */
function Others({ id, field }: { readonly id: string; readonly field: Field }) {
  return (
    <div class="form-list" data-entries>
      <template data-line>
        <div class="form-row is-entry" data-line>
          <div class="form-field">
            <label for={`${id}-name`}>Name</label>
            <input id={`${id}-name`} data-entry required autocomplete="off" spellcheck={false} />
          </div>
          <FieldView id={id} field={field} caption={{ text: "Value" }} required />
          <Remove what="this entry" />
        </div>
      </template>
      <Add>Add an entry</Add>
    </div>
  );
}

type ListProps = {
  readonly id: string;
  readonly item: Field;
  readonly min: number;
  readonly max: number | null;
  readonly caption: Caption | null;
};

function ListBody({ id, item, min, max, caption }: ListProps) {
  return (
    <div class="form-body form-list" data-body data-min={min} data-max={max}>
      <template data-line>
        <div class="form-row" data-line>
          <FieldView id={`${id}-i`} field={item} caption={{ text: "Item", isItem: true }} required />
          <Remove what="this item" />
        </div>
      </template>
      <Add>{caption === null ? "Add an item" : `Add to ${caption.text}`}</Add>
    </div>
  );
}

function Add({ children }: { readonly children?: string }) {
  return (
    <button type="button" class="button plain small" data-add>
      <Icon sign="plus" />
      <span>{children}</span>
    </button>
  );
}

function Remove({ what }: { readonly what: string }) {
  return (
    <button type="button" class="quiet" data-remove aria-label={`Remove ${what}`} title="Remove">
      <Icon sign="close" />
    </button>
  );
}
