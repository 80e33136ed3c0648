import type { handleServerStreamingCall, handleUnaryCall, Metadata } from '@grpc/grpc-js';
import { once, type EventEmitter } from 'node:events';
import type { Caller } from '../../shared/identity.ts';
import type { Logger } from '../../shared/log.ts';
import { Overload, problemOf } from '../../shared/problem.ts';
import type { Freshness } from '../auth/ended-sessions.ts';
import type { Gate, OpenStream } from '../auth/gate.ts';
import { failureOf, type Failure } from './failure.ts';
import type { Protocol } from './protocol.ts';

/** An authorized call. */
export interface Asked<Request> {
  request: Request;
  caller: Caller;
  metadata: Metadata;
  /** Aborts when the call is cancelled, its deadline passes, or the token of a stream becomes invalid. */
  signal: AbortSignal;
}

export interface GuardDeps {
  gate: Pick<Gate, 'identify' | 'clientAddress' | 'limits' | 'inFlight' | 'enterStream'>;
  log: Logger;
  encode: Protocol['encode'];
}

export interface Guard {
  /** @param freshness `current` for methods that change something */
  unary: <Request, Response>(
    freshness: Freshness,
    answer: (asked: Asked<Request>) => Promise<{ message: Response; metadata?: Metadata }>,
  ) => handleUnaryCall<Request, Response>;
  stream: <Request, Response>(
    messages: (asked: Asked<Request>) => AsyncIterable<Response>,
  ) => handleServerStreamingCall<Request, Response>;
}

/**
 * Creates the handlers of the service, so that every handler requires an access token. The service behind checks the owner. Errors
 * of handlers become a status. A method of the .proto without a handler is UNIMPLEMENTED.
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
    // An error after the caller has left is not a failure.
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
        // grpc-js ends a stream with a status by this event.
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

/** A metadata value. Several values are joined with commas, as in HTTP. */
export function textOf(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key);
  return values.length === 0 ? undefined : values.join(', ');
}
