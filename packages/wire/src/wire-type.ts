/** How the value of a protobuf field is stored: the low three bits of its tag. */
export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** What comes before the value of a field: its number and its wire type. */
export function tagOf(field: number, type: number): number {
  return (field << 3) | type;
}

/** The value of a bytes field that is absent. */
export const noBytes = new Uint8Array();
