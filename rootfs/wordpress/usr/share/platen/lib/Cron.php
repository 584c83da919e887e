<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Runs WordPress' due events, as wp-cron.php does, while this task holds the lease. WordPress must
 * be loaded. An event is taken off the list before it runs, so what a killed process was at is not
 * run again; the rest is left for the next minute.
 */
final class Cron {

	/** @param int $budget seconds after which no further event is begun */
	public function __construct( private readonly Lease $lease, private readonly int $budget ) {
	}

	/** @return array{ran: int, failed: int, left: int} left: due, but not begun */
	public function run(): array {
		$report = array( 'ran' => 0, 'failed' => 0, 'left' => 0 );
		$until  = time() + $this->budget;
		// A plugin may call wp-cron.php itself; core's own lock keeps that one out meanwhile.
		$lock = sprintf( '%.22F', microtime( true ) );
		set_transient( 'doing_cron', $lock );

		foreach ( wp_get_ready_cron_jobs() as $timestamp => $hooks ) {
			foreach ( $hooks as $hook => $events ) {
				foreach ( $events as $event ) {
					if ( time() >= $until || ! $this->lease->renew() ) {
						++$report['left'];
						continue;
					}
					++$report[ $this->event( $timestamp, $hook, $event ) ? 'ran' : 'failed' ];
				}
			}
		}
		if ( get_transient( 'doing_cron' ) === $lock ) {
			delete_transient( 'doing_cron' );
		}
		return $report;
	}

	/** @param array{schedule: string|false, args: array<int, mixed>} $event */
	private function event( int $timestamp, string $hook, array $event ): bool {
		if ( $event['schedule'] ) {
			$result = wp_reschedule_event( $timestamp, $event['schedule'], $hook, $event['args'], true );
			if ( is_wp_error( $result ) ) {
				error_log( "platen: cron: reschedule $hook: {$result->get_error_message()}" );
				do_action( 'cron_reschedule_event_error', $result, $hook, $event );
			}
		}
		$result = wp_unschedule_event( $timestamp, $hook, $event['args'], true );
		if ( is_wp_error( $result ) ) {
			error_log( "platen: cron: unschedule $hook: {$result->get_error_message()}" );
			do_action( 'cron_unschedule_event_error', $result, $hook, $event );
		}
		try {
			do_action_ref_array( $hook, $event['args'] );
			return true;
		} catch ( \Throwable $e ) { // one broken plugin must not keep the others from their turn
			error_log( "platen: cron: $hook: " . get_class( $e ) . ": {$e->getMessage()} in {$e->getFile()}:{$e->getLine()}" );
			return false;
		}
	}
}
