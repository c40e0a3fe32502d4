// `keyline device show` and `keyline device history`.
import type { DeviceView, HistoryResponse, RefusalList } from '@keyline/api';
import { escapeLine, formatDuration } from '@keyline/kernel';
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatEntryDetails } from '../print/entry.ts';
import { formatFacts, formatTable } from '../print/table.ts';
import { formatClient, formatLastSeen, formatOnline } from '../print/presence.ts';
import { formatEnd, formatSecond, formatTime, formatTimeAndDistance } from '../print/time.ts';

export async function showDevice(
  context: CliContext,
  id: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const params = { id };
    const [device, history, refusals] = await Promise.all([
      client.call('getDevice', { params }),
      client.call('getDeviceHistory', { params }),
      client.call('listDeviceRefusals', { params }),
    ]);
    if (options.json === true) {
      printJson(context, {
        device,
        refusals: refusals.items,
        history: history.items,
        certificates: history.certificates,
      });
      return;
    }
    const now = context.clock.now();
    context.terminal.out(formatDevice({ device, history, refusals }, now));
  } finally {
    client.close();
  }
}

export async function showHistory(
  context: CliContext,
  id: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const { items } = await client.call('getDeviceHistory', { params: { id } });
    if (options.json === true) {
      printJson(context, { items });
      return;
    }
    context.terminal.out(
      formatTable(
        ['WHEN (UTC)', 'WHAT', 'WHO', 'FROM', 'ENTRY', 'DETAILS'],
        items.map(({ at, kind, actor, address, seq, data }) => [
          formatSecond(at),
          kind,
          actor,
          address ?? '-',
          seq,
          formatEntryDetails(data),
        ]),
      ),
    );
  } finally {
    client.close();
  }
}

export function formatDeviceFacts(device: DeviceView, now: number): string {
  const labels = Object.entries(device.labels).map(([name, value]) => `${name}=${value}`);
  return formatFacts([
    [device.kind, device.id],
    ['state', device.state],
    ['type', device.kind === 'service' ? undefined : device.type],
    ['role', device.role ?? `none: ca-config has no type "${device.type}" any more`],
    ['batch', device.batch ?? undefined],
    ['labels', labels.length === 0 ? undefined : labels.join(' ')],
    ['serial', device.serial ?? undefined],
    ['ends', device.notAfter === null ? undefined : formatEnd(device.notAfter, now)],
    ['enrolled', formatTimeAndDistance(device.createdAt, now)],
    ['online', describeOnline(device, now)],
    ['last seen', describeLastSeen(device, now)],
  ]);
}

function describeOnline({ presence }: DeviceView, now: number): string {
  const { status, since } = presence;
  if (status === 'unknown') return 'unknown: no broker tells, or has told within the last minute';
  return since === null
    ? formatOnline(presence)
    : `${formatOnline(presence)}, since ${formatTimeAndDistance(since, now)}`;
}

function describeLastSeen({ id, presence }: DeviceView, now: number): string {
  const { lastSeen, broker, address } = presence;
  if (lastSeen === null) return formatLastSeen(presence, now);
  const client = formatClient(presence, id);
  return [
    presence.status === 'online' ? 'now' : formatTimeAndDistance(lastSeen, now),
    ...(address === null ? [] : [`from ${address}`]),
    ...(broker === null ? [] : [`on ${broker}`]),
    ...(client === '-' ? [] : [`(${client})`]),
  ].join(' ');
}

/** What a broker refused, the newest first; nothing where there is none. */
function formatRefusals({ items }: RefusalList, now: number): string {
  if (items.length === 0) return '';
  const lines = items.map((item) => {
    const { event, count, lastAt, broker, address, happened, remedy, proven } = item;
    const ago = formatDuration(Math.max(0, now - Date.parse(lastAt)));
    const head = [
      `${formatSecond(lastAt)} (${ago} ago)`,
      `${event}${count === 1 ? '' : `, ${String(count)} times`}`,
      `on ${broker}${address === null ? '' : ` from ${address}`}`,
      ...(proven ? [] : ['by somebody who has not shown that the name is theirs']),
    ].join(', ');
    return `${escapeLine(head)}\n  ${escapeLine(happened)}\n  → ${escapeLine(remedy)}\n`;
  });
  return `\nRefusals\n${lines.join('')}`;
}

function formatDevice(
  {
    device,
    history,
    refusals,
  }: {
    readonly device: DeviceView;
    readonly history: HistoryResponse;
    readonly refusals: RefusalList;
  },
  now: number,
): string {
  const certificates = formatTable(
    ['SERIAL', 'STATE', 'FROM (UTC)', 'TO (UTC)', 'REVOKED (UTC)', 'REASON'],
    history.certificates.map((certificate) => [
      certificate.serial,
      certificate.state,
      formatTime(certificate.notBefore),
      formatTime(certificate.notAfter),
      formatTime(certificate.revokedAt),
      certificate.reason ?? '-',
    ]),
  );
  const events = formatTable(
    ['WHEN (UTC)', 'WHAT', 'WHO', 'FROM', 'ENTRY'],
    history.items.map(({ at, kind, actor, address, seq }) => [
      formatSecond(at),
      kind,
      actor,
      address ?? '-',
      seq,
    ]),
  );
  return `${formatDeviceFacts(device, now)}${formatRefusals(refusals, now)}\nCertificates\n${certificates}\nHistory\n${events}`;
}
