import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/*
 * What a schema has, found by walking it: a field that is added to it later is in here, whoever thinks of it or not.
 */

/** Every field of a message, and of the messages in it. */
export function fieldsOf(schema: DescMessage): Set<string> {
  return new Set(
    schema.fields.flatMap((field) => [
      field.toString(),
      ...(field.message === undefined ? [] : fieldsOf(field.message)),
    ]),
  );
}

/** As {@link fieldsOf}, and every value of their enums but the unspecified one. */
export function fieldsAndValuesOf(schema: DescMessage): Set<string> {
  const names = schema.fields.flatMap((field) => [
    field.toString(),
    ...(field.message === undefined ? [] : fieldsAndValuesOf(field.message)),
    ...(field.enum === undefined ? [] : specified(field.enum).map(String)),
  ]);
  return new Set(names);
}

/** Which of them some of these messages have, with another value than the default. */
export function fieldsUsed<Desc extends DescMessage>(schema: Desc, ...messages: MessageShape<Desc>[]): Set<string> {
  const used = new Set<string>();
  for (const message of messages) {
    visit(reflect(schema, message), (parent, field) => {
      used.add(field.toString());
      if (field.enum !== undefined) {
        const value: unknown = parent.get(field);
        const [named] = specified(field.enum).filter(({ number }) => number === value);
        used.add(String(named));
      }
    });
  }
  return used;
}

/** A message that has every field, two of each where there may be many, and one of each kind where only one is allowed. */
export function filled<Desc extends DescMessage>(schema: Desc): MessageShape<Desc> {
  const message = create(schema);
  let number = 0;
  fill(reflect(schema, message));
  return message;

  function fill(target: ReflectMessage, choice = 0): void {
    for (const member of target.desc.members) {
      const field = member.kind === "oneof" ? member.fields[choice] : member;
      if (field?.fieldKind === "list") {
        const list = target.get(field);
        const copies = Math.max(2, ...(field.message?.oneofs ?? []).map(({ fields }) => fields.length));
        for (let copy = 0; copy < copies; copy++) {
          list.add(valueOf(field, copy));
        }
      } else if (field !== undefined) {
        target.set(field, valueOf(field, 0));
      }
    }
  }

  function valueOf({ message: inner, enum: values, scalar }: DescField, choice: number): unknown {
    if (inner !== undefined) {
      const made = reflect(inner);
      fill(made, choice);
      return made;
    }
    if (values !== undefined) {
      return specified(values)[0]?.number;
    }
    number++;
    switch (scalar) {
      case ScalarType.STRING:
        return `text ${number}`;
      case ScalarType.BYTES:
        return Uint8Array.of(number);
      case ScalarType.BOOL:
        return true;
      case ScalarType.INT64:
      case ScalarType.UINT64:
        return BigInt(number);
      case ScalarType.FIXED32:
        return number;
      // An index into a list of two, or a level.
      case ScalarType.UINT32:
        return 1;
      default:
        throw new Error(`no value is known for scalar type ${String(scalar)}`);
    }
  }
}

/** Takes one field after the other out of the message, wherever it is, calls back, and puts it in again. */
export function withoutEach<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  check: (field: string) => void,
): void {
  visit(reflect(schema, message), (parent, field) => {
    // A list is emptied when it is cleared; its items must be kept.
    const kept: unknown = field.fieldKind === "list" ? [...parent.get(field)] : parent.get(field);
    parent.clear(field);
    check(field.toString());
    if (field.fieldKind === "list") {
      const list = parent.get(field);
      (kept as unknown[]).forEach((item) => {
        list.add(item);
      });
    } else {
      parent.set(field, kept);
    }
  });
}

/** Adds to every message in this one fields of a newer version, of all kinds that are written. */
export function addUnknown<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  const unknown = [
    { no: 100, wireType: WireType.Varint, data: new BinaryWriter().uint64(2n ** 64n - 1n).finish() },
    { no: 101, wireType: WireType.Bit64, data: new BinaryWriter().double(0.5).finish() },
    { no: 102, wireType: WireType.LengthDelimited, data: new BinaryWriter().bytes(Buffer.alloc(200, 0xff)).finish() },
    { no: 103, wireType: WireType.Bit32, data: new BinaryWriter().fixed32(7).finish() },
  ];
  const root = reflect(schema, message);
  root.setUnknown(unknown);
  visit(root, (parent, field) => {
    const inner = field.fieldKind === "message" ? [parent.get(field)] : [];
    const listed = field.fieldKind === "list" && field.listKind === "message" ? [...parent.get(field)] : [];
    for (const one of [...inner, ...listed] as ReflectMessage[]) {
      one.setUnknown(unknown);
    }
  });
}

/** Calls back for every field that is set, those of inner messages included. */
function visit(message: ReflectMessage, each: (parent: ReflectMessage, field: DescField) => void): void {
  for (const field of message.fields.filter((one) => message.isSet(one))) {
    if (field.fieldKind === "message") {
      visit(message.get(field), each);
    } else if (field.fieldKind === "list" && field.listKind === "message") {
      for (const item of message.get(field) as Iterable<ReflectMessage>) {
        visit(item, each);
      }
    }
    each(message, field);
  }
}

function specified({ values }: DescEnum) {
  return values.filter(({ number }) => number !== 0);
}
