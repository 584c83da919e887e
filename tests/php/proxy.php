<?php
/**
 * An endpoint whose server can change, and die: `proxy.php PORT FOLDER` listens on 127.0.0.1:PORT and
 * does what FOLDER/PORT.json says: {"n":1,"mode":"pass","to":"primary:3306","cut":true}. Modes: pass;
 * refuse (nobody listens); freeze (connections are taken and nothing moves); deaf (what the client
 * says arrives, the answer is lost and the connection cut). cut ends what is open. n, when it holds, is
 * written to FOLDER/PORT.done.
 */

declare( strict_types=1 );

list( , $port, $folder ) = $argv;

$listener = null;
$order    = array( 'n' => 0, 'mode' => 'refuse', 'to' => '' );
/** @var list<array{resource, ?resource}> $pairs */
$pairs = array();
while ( true ) {
	$new = json_decode( (string) @file_get_contents( "$folder/$port.json" ), true );
	if ( is_array( $new ) && $new['n'] !== $order['n'] ) {
		$order = $new;
		if ( $order['cut'] ) {
			foreach ( $pairs as $pair ) {
				array_map( 'fclose', array_filter( $pair ) );
			}
			$pairs = array();
		}
		if ( 'refuse' === $order['mode'] && null !== $listener ) {
			fclose( $listener );
			$listener = null;
		} elseif ( 'refuse' !== $order['mode'] && null === $listener ) {
			$listener = stream_socket_server( "tcp://127.0.0.1:$port" );
		}
		file_put_contents( "$folder/$port.done", (string) $order['n'] );
	}
	$read = null === $listener ? array() : array( $listener );
	foreach ( $pairs as $pair ) {
		'freeze' === $order['mode'] || array_push( $read, ...array_filter( $pair ) );
	}
	$none = null;
	if ( array() === $read ) {
		usleep( 5000 );
		continue;
	}
	if ( ! stream_select( $read, $none, $none, 0, 5000 ) ) {
		continue;
	}
	foreach ( $read as $socket ) {
		if ( $socket === $listener ) {
			$client = stream_socket_accept( $listener, 0 );
			$server = 'freeze' === $order['mode'] ? null : @stream_socket_client( "tcp://{$order['to']}", $code, $text, 5 );
			if ( false === $server ) {
				fclose( $client );
				continue;
			}
			$pairs[] = array( $client, $server );
			continue;
		}
		foreach ( $pairs as $i => list( $client, $server ) ) {
			if ( $socket !== $client && $socket !== $server ) {
				continue;
			}
			$data = fread( $socket, 65536 );
			$lost = 'deaf' === $order['mode'] && $socket === $server && '' !== $data;
			if ( '' === $data || false === $data || $lost || ! fwrite( $socket === $client ? $server : $client, $data ) ) {
				array_map( 'fclose', array_filter( array( $client, $server ) ) );
				unset( $pairs[ $i ] );
			}
		}
	}
}
