// Serials of certificates, as everything here compares them.

/** Lower-case hex of even length without leading zeros beyond that; undefined when it is no serial (at most 20 octets). */
export function normalizeSerial(text: string): string | undefined {
  if (text.length > 64) return undefined;
  const hex = text.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]+$/.test(hex)) return undefined;
  const digits = hex.replace(/^0+(?=.)/, '');
  if (digits.length > 40) return undefined;
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}
