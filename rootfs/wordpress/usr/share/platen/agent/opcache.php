<?php
/**
 * Says how full OPcache is, which all pools of this php-fpm share. Only the agent comes here: nginx
 * has no way to this script. 503 when OPcache is off.
 */

declare( strict_types=1 );

$status = function_exists( 'opcache_get_status' ) ? opcache_get_status( false ) : false;
header( 'Content-Type: application/json' );
if ( false === $status ) {
	http_response_code( 503 );
	exit( "{}\n" );
}

$percent = static fn( float $part, float $whole ): float => $whole > 0 ? round( 100 * $part / $whole, 1 ) : 0.0;
$memory  = $status['memory_usage'];
$all     = $memory['used_memory'] + $memory['free_memory'] + $memory['wasted_memory'];
$strings = $status['interned_strings_usage'] ?? array( 'used_memory' => 0, 'buffer_size' => 0 );
$counts  = $status['opcache_statistics'];

echo json_encode(
	array(
		'used'     => $percent( $memory['used_memory'], $all ),
		'wasted'   => $percent( $memory['wasted_memory'], $all ),
		'strings'  => $percent( $strings['used_memory'], $strings['buffer_size'] ),
		'files'    => $counts['num_cached_scripts'],
		'full'     => $status['cache_full'] || $counts['num_cached_keys'] >= $counts['max_cached_keys'],
		'restarts' => $counts['oom_restarts'] + $counts['hash_restarts'],
	)
), "\n";
