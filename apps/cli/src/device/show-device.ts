// `keyline device show` and `keyline device history`.
import type { DeviceView, HistoryResponse } from '@keyline/api';
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatFacts, formatTable } from '../print/table.ts';
import { formatTime, formatTimeAndDistance } from '../print/time.ts';

export async function showDevice(
  context: CliContext,
  id: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const params = { id };
    const [device, history] = await Promise.all([
      client.call('getDevice', { params }),
      client.call('getDeviceHistory', { params }),
    ]);
    if (options.json === true) {
      printJson(context, { device, history: history.items, certificates: history.certificates });
      return;
    }
    context.terminal.out(formatDevice(device, history, context.clock.now()));
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
          formatTime(at),
          kind,
          actor,
          address ?? '-',
          seq,
          formatDetails(data),
        ]),
      ),
    );
  } finally {
    client.close();
  }
}

/** What every entry of a device says is left out: its id, type and role. */
function formatDetails(data: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(data).filter(([name]) => !['device', 'type', 'role'].includes(name));
  return shown.map(([name, value]) => `${name}=${formatDetail(name, value)}`).join(' ');
}

function formatDetail(name: string, value: unknown): string {
  if (name === 'notAfter' && typeof value === 'number') return new Date(value).toISOString();
  if (Array.isArray(value)) return value.map(String).join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function formatDeviceFacts(device: DeviceView, now: number): string {
  const labels = Object.entries(device.labels).map(([name, value]) => `${name}=${value}`);
  return formatFacts([
    ['device', device.id],
    ['state', device.state],
    ['type', device.type],
    ['batch', device.batch ?? undefined],
    ['labels', labels.length === 0 ? undefined : labels.join(' ')],
    ['serial', device.serial ?? undefined],
    ['ends', device.notAfter === null ? undefined : formatTimeAndDistance(device.notAfter, now)],
    ['enrolled', formatTimeAndDistance(device.createdAt, now)],
  ]);
}

function formatDevice(device: DeviceView, history: HistoryResponse, now: number): string {
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
    ['WHEN (UTC)', 'WHAT', 'WHO', 'ENTRY'],
    history.items.map(({ at, kind, actor, seq }) => [formatTime(at), kind, actor, seq]),
  );
  return `${formatDeviceFacts(device, now)}\nCertificates\n${certificates}\nHistory\n${events}`;
}
