// Package agent is what runs inside the containers beside WordPress: it renders configuration
// from what the container is told, starts and supervises php-fpm, drains, runs cron, answers
// health checks, and prepares MariaDB and Valkey. The jobs image renders with it too.
// It imports little beyond the standard library: its binary is in three images.
package agent

import (
	"encoding/json"
	"fmt"
	"os"
)

// FromEnv reads a part of the contract (task.Config, task.Database, …) from the environment
// variable that carries it. Unknown keys are left alone: a newer engine may say more.
func FromEnv[T any](variable string) (T, error) {
	var value T
	text := os.Getenv(variable)
	if text == "" {
		return value, fmt.Errorf("$%s is not set: this container is started by platen, which tells it what to be", variable)
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return value, fmt.Errorf("read $%s as JSON: %w", variable, err)
	}
	return value, nil
}
