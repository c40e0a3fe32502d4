// The property list of an MQTT 5 packet (§2.2.2): by the table, each at most once, each in its range.
import type { ByteReader } from './byte-reader.ts';
import type { Properties } from './packets.ts';
import { propertyByIdentifier, type PropertyPlace, type PropertyRow } from './property-table.ts';

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/** `undefined` for an empty list, so that the usual packet costs nothing. */
export function readProperties(reader: ByteReader, place: PropertyPlace): Properties | undefined {
  const length = reader.readVariableInteger();
  if (length === 0) return undefined;
  const outerEnd = reader.end;
  const end = reader.at + length;
  if (end > outerEnd) reader.refuse('pastTheEnd', { clause: 'MQTT 5 §2.2.2.1' });
  reader.end = end;
  const properties = readList(reader, place);
  reader.end = outerEnd;
  return properties;
}

function readList(reader: ByteReader, place: PropertyPlace): Properties {
  // Names come from the table alone, never from the peer, so that a plain object is safe.
  const properties: Writable<Properties> = {};
  const values = properties as Record<string, boolean | number | string | Buffer>;
  const userProperties: [string, string][] = [];
  const subscriptionIdentifiers: number[] = [];
  while (!reader.isAtEnd) {
    const row = readRow(reader, place);
    if (row.name === 'userProperties') {
      if (userProperties.length >= reader.limits.userPropertiesPerPacket) {
        reader.refuse('userProperties', { found: `more than ${userProperties.length}` });
      }
      userProperties.push([reader.readText(), reader.readText()]);
    } else if (row.name === 'subscriptionIdentifier' && place === 'publish') {
      if (reader.limits.from === 'client') reader.refuse('identifierFromClient');
      subscriptionIdentifiers.push(readNumber(reader, row));
    } else {
      if (properties[row.name] !== undefined) {
        reader.refuse('repeatedProperty', { clause: `MQTT 5 §${row.section}`, found: row.name });
      }
      values[row.name] = readValue(reader, row);
    }
  }
  if (userProperties.length > 0) properties.userProperties = userProperties;
  if (subscriptionIdentifiers.length > 0) {
    properties.subscriptionIdentifiers = subscriptionIdentifiers;
  }
  return properties;
}

function readRow(reader: ByteReader, place: PropertyPlace): PropertyRow {
  const identifier = reader.readVariableInteger();
  const row = propertyByIdentifier[identifier];
  if (row === undefined) reader.refuse('unknownProperty', { found: String(identifier) });
  if (!row.places.includes(place)) {
    reader.refuse('misplacedProperty', { found: `${row.name} in ${place}` });
  }
  return row;
}

function readValue(reader: ByteReader, row: PropertyRow): boolean | number | string | Buffer {
  switch (row.kind) {
    case 'flag':
      return readUpToOne(reader, row) === 1;
    case 'byte':
      return readUpToOne(reader, row);
    case 'uint16':
    case 'uint32':
    case 'variable':
      return readNumber(reader, row);
    case 'binary':
      return reader.readBinary();
    case 'topic':
      return readResponseTopic(reader);
    case 'text':
    case 'pair':
      return reader.readText();
  }
}

function readUpToOne(reader: ByteReader, row: PropertyRow): number {
  const byte = reader.readByte();
  if (byte > 1) {
    reader.refuse('propertyRange', {
      clause: `MQTT 5 §${row.section}`,
      found: `${row.name} ${byte}`,
    });
  }
  return byte;
}

function readNumber(reader: ByteReader, row: PropertyRow): number {
  const value =
    row.kind === 'uint16'
      ? reader.readUint16()
      : row.kind === 'uint32'
        ? reader.readUint32()
        : reader.readVariableInteger();
  if (value === 0 && row.positive === true) {
    if (row.name === 'topicAlias') reader.refuse('topicAliasZero');
    reader.refuse('propertyRange', { clause: `MQTT 5 §${row.section}`, found: `${row.name} 0` });
  }
  return value;
}

function readResponseTopic(reader: ByteReader): string {
  const topic = reader.readText();
  if (topic === '') reader.refuse('emptyTopic', { found: 'the response topic' });
  if (topic.includes('+') || topic.includes('#')) reader.refuse('responseWildcard');
  return topic;
}
