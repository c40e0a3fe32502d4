// What a broker says of who came and went and whom it refused, read as defensively as everything that comes over the wire.
import { parseDeviceId } from '@keyline/kernel';
import type { PresencePage, RefusalReport, Sighting } from '../target.ts';
import { readList } from './dynsec-messages.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Characters of what a client has chosen, and of a sentence. */
const longest = 400;
/** More are not taken of one page, whatever a broker says. */
const mostOfPage = 2000;

/** @param now epoch milliseconds of this process: the broker's clock may be another */
export function readPresence(data: unknown, now: number): PresencePage | undefined {
  const fields = (data ?? {}) as Fields;
  const start = text(fields['start'], 100);
  const told = fields['now'];
  if (start === '' || typeof told !== 'number' || !Number.isFinite(told)) return undefined;
  const byOurClock = (value: unknown): number =>
    // Nothing has happened that did not happen yet.
    Math.max(0, Math.min(now, Math.trunc(finite(value) - told + now)));
  return {
    start,
    last: count(fields['last']),
    refusalBatch: count(fields['batch']),
    complete: fields['complete'] === true,
    sightings: readList(data, 'sightings')
      .slice(0, mostOfPage)
      .flatMap((one): Sighting[] => {
        const identity = nameOf(one);
        const online = one['online'];
        if (identity === undefined || typeof online !== 'boolean') return [];
        return [
          {
            ...{ identity, online, at: byOurClock(one['at']) },
            clientId: text(one['clientId'], longest),
            protocol: [3, 4, 5].find((known) => known === one['version']) ?? null,
            address: text(one['address'], 64),
          },
        ];
      }),
    refusals: readList(data, 'refusals')
      .slice(0, mostOfPage)
      .flatMap((one): RefusalReport[] => {
        const identity = nameOf(one);
        const event = text(one['event'], 64);
        if (identity === undefined || event === '') return [];
        return [
          {
            ...{ identity, event, reason: text(one['reason'], 100) },
            topic: text(one['topic'], longest),
            firstAt: byOurClock(one['firstAt']),
            lastAt: byOurClock(one['lastAt']),
            count: Math.max(1, count(one['count'])),
            clientId: text(one['clientId'], longest),
            address: text(one['address'], 64),
            serial: text(one['serial'], 64),
            happened: text(one['happened'], longest),
            remedy: text(one['remedy'], longest),
            proven: one['proven'] === true,
          },
        ];
      }),
  };
}

/** Whoever is not named as a device or service may be is of no record here. */
function nameOf(one: Fields): string | undefined {
  const { username } = one;
  try {
    return typeof username === 'string' ? parseDeviceId(username) : undefined;
  } catch {
    return undefined;
  }
}

/** Control characters would act on a terminal, and halves of characters can't be stored. */
function text(value: unknown, most: number): string {
  return typeof value === 'string'
    ? value
        .replaceAll(/[\p{Cc}\p{Cs}]/gu, '?')
        .slice(0, most)
        .toWellFormed()
    : '';
}

function finite(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function count(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0;
}
