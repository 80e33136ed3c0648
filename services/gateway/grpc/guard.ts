import type { handleServerStreamingCall, handleUnaryCall, Metadata } from '@grpc/grpc-js';
import { once, type EventEmitter } from 'node:events';
import type { Caller } from '../../shared/identity.ts';
import type { Logger } from '../../shared/log.ts';
import { Overload, problemOf } from '../../shared/problem.ts';
import type { Freshness } from '../auth/ended-sessions.ts';
import type { Gate, OpenStream } from '../auth/gate.ts';
import { failureOf, type Failure } from './failure.ts';
import type { Protocol } from './protocol.ts';

/** A call of somebody who may make it. */
export interface Asked<Request> {
  request: Request;
  caller: Caller;
  metadata: Metadata;
  /** Aborted when nobody waits any more: the call was cancelled, or its deadline has passed, or a stream's token. */
  signal: AbortSignal;
}

export interface GuardDeps {
  gate: Pick<Gate, 'identify' | 'clientAddress' | 'limits' | 'inFlight' | 'enterStream'>;
  log: Logger;
  encode: Protocol['encode'];
}

export interface Guard {
  /** @param freshness `current` for what changes something */
  unary: <Request, Response>(
    freshness: Freshness,
    answer: (asked: Asked<Request>) => Promise<{ message: Response; metadata?: Metadata }>,
  ) => handleUnaryCall<Request, Response>;
  stream: <Request, Response>(
    messages: (asked: Asked<Request>) => AsyncIterable<Response>,
  ) => handleServerStreamingCall<Request, Response>;
}

/**
 * The only way to make a handler, so that there is none for those without an access token; whose things these are is for the
 * service behind to judge. A method of the .proto that has no handler is UNIMPLEMENTED. What handlers throw becomes a status here.
 */
export function guard({ gate, log, encode }: GuardDeps): Guard {
  const { identify, clientAddress, limits, inFlight, enterStream } = gate;

  async function admit(call: Call, freshness: Freshness): Promise<Caller> {
    const peer = call.getPeer().replace(/:\d+$/, '');
    const address = clientAddress(peer, textOf(call.metadata, 'x-forwarded-for'));
    const caller = await identify(textOf(call.metadata, 'authorization'), address, freshness);
    const refusal = await limits.count('api', caller.id);
    if (refusal) throw refusal;
    return caller;
  }

  function failure(error: unknown, signal: AbortSignal): Failure {
    const problem = problemOf(error);
    // What ends because nobody waits for it has not failed.
    const isFault = problem.status >= 500 && !(problem instanceof Overload);
    if (isFault && !signal.aborted) log.error({ err: error }, 'request failed');
    return failureOf(problem, encode);
  }

  return {
    unary: (freshness, answer) => async (call, callback) => {
      const { request, metadata } = call;
      const signal = signalOf(call);
      try {
        const answered = await inFlight.run(async () =>
          answer({ request, caller: await admit(call, freshness), metadata, signal }),
        );
        if (answered.metadata) call.sendMetadata(answered.metadata);
        callback(null, answered.message);
      } catch (error) {
        callback(failure(error, signal));
      }
    },
    stream: (messages) => async (call) => {
      const { request, metadata } = call;
      const cancelled = signalOf(call);
      let stream: OpenStream | undefined;
      try {
        const caller = await admit(call, 'recent');
        if (cancelled.aborted) return;
        stream = enterStream(caller, textOf(metadata, 'authorization'));
        const signal = AbortSignal.any([cancelled, stream.refused]);
        for await (const message of messages({ request, caller, metadata, signal })) {
          if (signal.aborted) break;
          if (!call.write(message)) await once(call, 'drain', { signal });
        }
        stream.refused.throwIfAborted();
        call.end();
      } catch (error) {
        const reason: unknown = stream?.refused.aborted ? stream.refused.reason : error;
        // The library's way to end a stream with a status.
        if (!cancelled.aborted) call.emit('error', failure(reason, cancelled));
      } finally {
        stream?.leave();
      }
    },
  };
}

interface Call {
  metadata: Metadata;
  getPeer: () => string;
}

function signalOf(call: Pick<EventEmitter, 'once'>): AbortSignal {
  const controller = new AbortController();
  call.once('cancelled', () => controller.abort());
  return controller.signal;
}

/** A value of the metadata; several are a list, as in HTTP. */
export function textOf(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key);
  return values.length === 0 ? undefined : values.join(', ');
}
