// The benches, in the order of the table.
import { connectionMemory } from './broker/connection-memory.ts';
import { fleetDelivery } from './broker/fleet-delivery.ts';
import { hostileDevices } from './broker/hostile.ts';
import { reconnectHerd } from './broker/reconnect-herd.ts';
import { revokeCutEmbedded, revokeCutMosquitto } from './broker/revoke-cut.ts';
import { rightsBulkEmbedded, rightsBulkMosquitto } from './broker/rights-bulk.ts';
import { rightsStall } from './broker/rights-stall.ts';
import { fanOut, qos0, qos0Single, qos1, qos1Single } from './broker/throughput.ts';
import { bulkSign } from './ca/bulk-sign.ts';
import { crlDelta, crlFull } from './ca/crl.ts';
import { enroll } from './ca/enroll.ts';
import { enrollAtPersonsLoad, renewAtPersonsLoad } from './ca/persons-load.ts';
import { issue } from './ca/issue.ts';
import { listPage } from './ca/list-page.ts';
import { ocspCached, ocspFresh } from './ca/ocsp.ts';
import { renew } from './ca/renew.ts';
import { revoke } from './ca/revoke.ts';
import { start } from './ca/start.ts';
import type { Bench } from './support/bench.ts';

export const benches: readonly Bench[] = [
  issue,
  bulkSign,
  enroll,
  renew,
  ...enrollAtPersonsLoad,
  ...renewAtPersonsLoad,
  revoke,
  ocspCached,
  ocspFresh,
  crlFull,
  crlDelta,
  listPage,
  start,
  revokeCutEmbedded,
  revokeCutMosquitto,
  rightsBulkEmbedded,
  rightsBulkMosquitto,
  rightsStall,
  qos0Single,
  qos0,
  qos1Single,
  qos1,
  fanOut,
  connectionMemory,
  reconnectHerd,
  fleetDelivery,
  hostileDevices,
];
