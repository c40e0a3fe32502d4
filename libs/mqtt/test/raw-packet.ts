// Packets put together byte by byte, so that they can be wrong in ways that no encoder allows.

type Part = number | string | Buffer | readonly number[];

const bytesOf = (part: Part): Buffer => {
  if (typeof part === 'number') return Buffer.of(part);
  if (typeof part === 'string') return Buffer.from(part, 'latin1');
  return Buffer.isBuffer(part) ? part : Buffer.from(part);
};

export const join = (...parts: Part[]): Buffer => Buffer.concat(parts.map(bytesOf));

export function variable(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** A fixed header with the right length, and what follows it. */
export function packet(firstByte: number, ...parts: Part[]): Buffer {
  const body = join(...parts);
  return join(firstByte, variable(body.length), body);
}

export const uint16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A length of two bytes and what it counts; text is written as UTF-8. */
export function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return join(uint16(bytes.length), bytes);
}

/** A property list with its length. */
export function properties(...parts: Part[]): Buffer {
  const list = join(...parts);
  return join(variable(list.length), list);
}

interface Connect {
  readonly name?: string;
  readonly level?: number;
  readonly flags?: number;
  readonly properties?: Buffer;
  readonly rest?: Buffer;
}

/** A CONNECT of MQTT 5 unless said otherwise; `level` 4 has no properties. */
export function connect({
  name = 'MQTT',
  level = 5,
  flags = 0x02,
  properties: list = properties(),
  rest = text('client'),
}: Connect = {}): Buffer {
  return packet(0x10, text(name), level, flags, uint16(60), level === 5 ? list : [], rest);
}

/** A PUBLISH of QoS 0 in MQTT 5 with a property list. */
export const publish5 = (list: Buffer, topic = 'a/b'): Buffer =>
  packet(0x30, text(topic), list, 'payload');
