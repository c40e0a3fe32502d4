// The property list of an MQTT 5 packet (§2.2.2), written by the same table it is read by.
import { ByteWriter } from './byte-writer.ts';
import type { Properties } from './packets.ts';
import { rowsOfPlace, type PropertyPlace, type PropertyRow } from './property-table.ts';

/** Writes the length and the properties that `place` may carry; others are passed over. */
export function encodeProperties(
  writer: ByteWriter,
  place: PropertyPlace,
  properties: Properties | undefined,
): void {
  if (properties === undefined) {
    writer.writeByte(0);
    return;
  }
  const list = new ByteWriter();
  for (const row of rowsOfPlace.get(place) ?? []) writeProperty(list, place, row, properties);
  writer.writeVariableInteger(list.length);
  writer.writeRaw(list.toBytes());
}

function writeProperty(
  list: ByteWriter,
  place: PropertyPlace,
  row: PropertyRow,
  properties: Properties,
): void {
  if (row.name === 'userProperties') {
    for (const [name, value] of properties.userProperties ?? []) {
      list.writeByte(row.identifier);
      list.writeText(name);
      list.writeText(value);
    }
    return;
  }
  if (row.name === 'subscriptionIdentifier' && place === 'publish') {
    for (const identifier of properties.subscriptionIdentifiers ?? []) {
      list.writeByte(row.identifier);
      list.writeVariableInteger(identifier);
    }
    return;
  }
  const value = properties[row.name];
  if (value === undefined) return;
  list.writeByte(row.identifier);
  if (typeof value === 'string') list.writeText(value);
  else if (typeof value === 'boolean') list.writeByte(value ? 1 : 0);
  else if (typeof value === 'number') writeNumber(list, row, value);
  else list.writeBinary(value);
}

function writeNumber(list: ByteWriter, row: PropertyRow, value: number): void {
  if (row.kind === 'uint16') list.writeUint16(value);
  else if (row.kind === 'uint32') list.writeUint32(value);
  else if (row.kind === 'variable') list.writeVariableInteger(value);
  else list.writeByte(value);
}
